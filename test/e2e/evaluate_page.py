"""The meaning of a page of text, one op after the other, in double precision with the standard library only.

Covers the ops that tests write by hand (see `evaluate`); slow, for sequences of some tokens and tens of channels. It reads the
page itself, so what the compiler derives from it (caches, chunks, kernels, slots) is judged by something that has none of it.
"""

import math
import re


class Value:
    """Rows of H heads of D channels; plain rows are one head, and not `split`."""

    def __init__(self, rows, heads=None):
        self.rows, self.heads, self.split = rows, heads or 1, heads is not None

    def width(self):
        return len(self.rows[0]) // self.heads

    def map(self, function):
        return Value([[function(x) for x in row] for row in self.rows], self.heads if self.split else None)

    def head(self, row, h):
        return self.rows[row][h * self.width() : (h + 1) * self.width()]


def sigmoid(x):
    return 1 / (1 + math.exp(-x)) if x > -700 else 0.0


UNARY = {
    "silu": lambda x: x * sigmoid(x),
    "sigmoid": sigmoid,
    "softplus": lambda x: math.log1p(math.exp(x)) if x < 30 else x,
    "exp": math.exp,
}


def dot(a, b):
    return math.fsum(x * y for x, y in zip(a, b))


def norm(value, weight, eps, mean, zero_centered):
    def one(part):
        square = dot(part, part)
        scale = 1 / math.sqrt((square / len(part) if mean else square) + eps)
        return [x * scale * ((w + 1 if zero_centered else w) if weight else 1) for x, w in zip(part, weight or part)]

    return Value([sum((one(value.head(t, h)) for h in range(value.heads)), []) for t in range(len(value.rows))], value.heads)


def softmax_attention(q, k, v, scale, window):
    group, out = q.heads // k.heads, []
    for t in range(len(q.rows)):
        row = []
        for h in range(q.heads):
            first = max(0, t - window + 1) if window else 0
            logits = [scale * dot(q.head(t, h), k.head(s, h // group)) for s in range(first, t + 1)]
            top = max(logits)
            weights = [math.exp(x - top) for x in logits]
            total = math.fsum(weights)
            for c in range(v.width()):
                row.append(dot(weights, [v.head(s, h // group)[c] for s in range(first, t + 1)]) / total)
        out.append(row)
    return Value(out, q.heads)


def delta_rule(q, k, v, beta, decay, scale):
    group = v.heads // k.heads
    out = [[] for _ in q.rows]
    for h in range(v.heads):
        state = [[0.0] * v.width() for _ in range(k.width())]
        for t in range(len(q.rows)):
            gate = decay.head(t, h) if decay else [0.0]
            state = [[math.exp(gate[i % len(gate)]) * s for s in line] for i, line in enumerate(state)]
            key, query = k.head(t, h // group), q.head(t, h // group)
            read = [math.fsum(key[i] * state[i][c] for i in range(len(key))) for c in range(v.width())]
            write = [beta.rows[t][h] * (x - r) for x, r in zip(v.head(t, h), read)]
            state = [[s + key[i] * w for s, w in zip(line, write)] for i, line in enumerate(state)]
            out[t] += [scale * math.fsum(query[i] * state[i][c] for i in range(len(query))) for c in range(v.width())]
    return Value(out, v.heads)


def recurrence(head, lines, values):
    """`(%s : AxB, %q = %query, ...)` and the lines of the region, taken at their word: token by token, head by head."""
    rows, columns = map(int, re.search(r"\(%\w+ : (\d+)x(\d+)", head).groups())
    state_name = re.search(r"\(%(\w+) :", head).group(1)
    inputs = [(name, values[operand]) for name, operand in re.findall(r", %(\w+) = %(\w+)", head)]
    # A parameter is one number for each head.
    counts = [(x.heads if x.split else len(x.rows[0])) if isinstance(x, Value) else len(x) for _, x in inputs]
    heads, tokens = max(counts), next(len(x.rows) for _, x in inputs if isinstance(x, Value))
    out = [[] for _ in range(tokens)]
    for h in range(heads):
        state = [[0.0] * columns for _ in range(rows)]
        for t in range(tokens):
            local = {state_name: state}
            for (name, x), count in zip(inputs, counts):
                own = h * count // heads
                local[name] = x[own] if not isinstance(x, Value) else x.head(t, own) if x.split else x.rows[t][own]
            for line in lines:
                state, o = step(line, local, h)
            out[t] += o
    return Value(out, heads)


def step(line, local, h):
    """One line of a region; the state and the output behind a yield."""
    names, _, text = line.rpartition(" = ")
    op, _, rest = text.partition(" ")
    operands = [local[name] for name in re.findall(r"%(\w+)", rest)]
    if op == "yield":
        return operands
    if op == "decay":
        g = operands[1] if len(operands) > 1 else float(rest[rest.index("[") + 1 : rest.index("]")].split(",")[h])
        rates = g if isinstance(g, list) else [g] * len(operands[0])
        result = [[math.exp(rate) * x for x in row] for rate, row in zip(rates, operands[0])]
    elif op == "read":
        state, key = operands
        result = [math.fsum(k * row[c] for k, row in zip(key, state)) for c in range(len(state[0]))]
    elif op == "write":
        state, key, value = operands
        result = [[x + k * v for x, v in zip(row, value)] for k, row in zip(key, state)]
    elif op == "scale":
        factor = float(rest.split(",")[1])
        result = [x * factor for x in operands[0]] if isinstance(operands[0], list) else operands[0] * factor
    else:
        function = {"add": lambda a, b: a + b, "sub": lambda a, b: a - b, "mul": lambda a, b: a * b}[op]
        length = max(len(x) if isinstance(x, list) else 0 for x in operands)
        a, b = ([x] * (length or 1) if not isinstance(x, list) else x for x in operands)
        result = [function(x, y) for x, y in zip(a, b)]
        result = result if length else result[0]
    local[names.strip().lstrip("%")] = result
    return None, None


def log_decay(x, rate, bias, bound):
    def one(i, value):
        a, z = math.exp(rate[i * len(rate) // len(bias)]), value + bias[i]
        return bound * sigmoid(a * z) if bound else -a * UNARY["softplus"](z)

    return Value([[one(i, value) for i, value in enumerate(row)] for row in x.rows], x.heads if x.split else None)


def short_conv(x, weight, taps, bias):
    def at(t, c):
        return bias[c] + math.fsum(weight[c * taps + j] * x.rows[t - taps + 1 + j][c] for j in range(taps) if t - taps + 1 + j >= 0)

    return Value([[at(t, c) for c in range(len(x.rows[0]))] for t in range(len(x.rows))])


def rotary(x, theta, over):
    half, rows = over // 2, []
    for t in range(len(x.rows)):
        row = []
        for h in range(x.heads):
            part = list(x.head(t, h))
            for m in range(half):
                angle = t * theta ** (-2 * m / over)
                a, b = part[m], part[m + half]
                part[m], part[m + half] = a * math.cos(angle) - b * math.sin(angle), b * math.cos(angle) + a * math.sin(angle)
            row += part
        rows.append(row)
    return Value(rows, x.heads)


def split(x, parts):
    """Consecutive parts of the last axis; `HxD` sees its part as heads."""
    results, first = [], 0
    for part in parts:
        heads, _, width = part.rpartition("x")
        count = int(heads or 1) * int(width)
        rows = [sum((x.head(t, h)[first : first + count] for h in range(x.heads)), []) for t in range(len(x.rows))]
        results.append(Value(rows, int(heads) if heads else x.heads if x.split else None))
        first += count
    return results


def binary(function, a, b):
    def other(t, i):
        if not isinstance(b, Value):
            return b[i % len(b)]
        # One number per head, or as many as there are.
        return b.rows[t][i // a.width()] if len(b.rows[t]) < len(a.rows[t]) else b.rows[t][i]

    return Value([[function(x, other(t, i)) for i, x in enumerate(row)] for t, row in enumerate(a.rows)], a.heads if a.split else None)


def evaluate(line, values, params, prefix):
    """One line `%a, %b = op ...` of a block."""
    names, _, text = line.partition(" = ")
    names, words = re.findall(r"%(\w+)", names), re.findall(r'"[^"]*"|%\w+|-?[\w.]+', text)
    op, operands = words[0], [values[word[1:]] for word in words[1:] if word.startswith("%")]

    def each(x, function):
        """Element by element, of an activation or a parameter."""
        return x.map(function) if isinstance(x, Value) else [function(value) for value in x]

    def option(name, default=None):
        return float(words[words.index(name) + 1]) if name in words else default

    if op == "param":
        results = [params[prefix + words[1].strip('"')]]
    elif op in UNARY:
        results = [each(operands[0], UNARY[op])]
    elif op in ("add", "mul"):
        results = [binary((lambda a, b: a + b) if op == "add" else (lambda a, b: a * b), *operands)]
    elif op == "scale":
        results = [each(operands[0], lambda x: x * float(words[2]))]
    elif op == "linear":
        x, weight = operands
        n = len(x.rows[0])
        results = [Value([[dot(row, weight[i : i + n]) for i in range(0, len(weight), n)] for row in x.rows])]
    elif op == "rms_norm":
        results = [norm(*operands, option("eps", 1e-6), True, "zero_centered" in words)]
    elif op == "l2_norm":
        results = [norm(*operands, None, option("eps", 1e-6), False, False)]
    elif op == "heads":
        results = [Value(operands[0].rows, int(words[2]))]
    elif op == "flatten":
        results = [Value(operands[0].rows)]
    elif op == "split":
        results = split(*operands, words[words.index("into") + 1 :])
    elif op == "concat":
        results = [Value([sum((x.rows[t] for x in operands), []) for t in range(len(operands[0].rows))])]
    elif op == "attn.short_conv":
        x, weight, *bias = operands
        channels = len(x.rows[0])
        results = [short_conv(x, weight, len(weight) // channels, bias[0] if bias else [0.0] * channels)]
    elif op == "attn.rotary":
        results = [rotary(*operands, option("theta"), int(option("over")))]
    elif op == "attn.softmax":
        q, k, v = operands
        results = [softmax_attention(q, k, v, option("scale", q.width() ** -0.5), int(option("window", 0)))]
    elif op == "attn.delta_rule":
        scale = option("scale", operands[0].width() ** -0.5)
        results = [delta_rule(*operands[:4], operands[4] if "decay" in words else None, scale)]
    elif op == "attn.log_decay":
        x, rate, bias = operands
        bound = option("at_least")
        results = [log_decay(x, rate, bias, bound)]
    else:
        raise ValueError(f"expected an op that evaluate_page knows, but got '{op}'")
    values.update(zip(names, results))


def evaluate_block(lines, x, params, prefix):
    values = {"x": x}
    remaining = iter(lines)
    for line in remaining:
        if line.startswith("yield"):
            return values[line.split("%")[1]]
        if "attn.recurrence" in line:
            name, _, head = line.partition(" = ")
            values[name.lstrip("%")] = recurrence(head, list(iter(lambda: next(remaining), "}")), values)
        else:
            evaluate(line, values, params, prefix)
    raise ValueError("expected a yield")
