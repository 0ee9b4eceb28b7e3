#!/usr/bin/env python3
"""Compiles mixers written in text and compares what they compute with the golden files of the operators.

    check_golden_mixers.py PAGE.mlir GOLDENS_DIR [NAME ...] [--target cpu,native]

Every block of the page is put between an embedding whose rows are the inputs of the golden file, token by token, and a head that
reads the block's first channels. Golden files begin with a state that is not zero and tell the state at the end, a session
has neither. So 16 tokens in front write the state row by row (key e_j, value S[j, :]), and 16 tokens behind read it
(query e_j). All are fed whole, in chunks, and one by one. A failure prints the command that shows it.
"""

import argparse
import json
import math
import os
import re
import shlex
import struct
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "numerics"))
import compare_logits
import golden_file
from golden_file import GoldenError

# f32 throughout against double: products of 16 and sums over 109 tokens, in some 10 operations of 6e-8 each. Exponents are
# differences of sums of up to 64 log decays of up to 6: wrong by 2e-5 where the term itself is below exp(-6). 4e-7 is seen.
RELATIVE = 2e-6
WAYS = ([], ["--chunk", "37"], ["--chunk", "63"], ["--chunk", "64"], ["--chunk", "65"], ["--chunk", "1"])
UNIT = math.sqrt(1 + 1e-6)  # what the L2 norm of a unit vector divides by


class Case:
    """How a golden file is fed: inputs in the order of the block's split, of which the first three are query, key, value."""

    def __init__(self, file, inputs, out="out.o", scale=1.0, norm=1.0, rates=None, params=(), state="out.state", flat=()):
        self.file, self.inputs, self.out, self.scale, self.norm = file, inputs, out, scale, norm
        self.rates, self.params, self.state = rates, params, state
        self.flat = flat  # parameters [H, D, r] that a page has as matrices [H * D, r]


CORE = ["q", "k", "v", "b", "f", "z"]
CASES = {
    "linear_attention_plain": Case("linear_attention_plain", ["q", "k", "v"], scale=0.25),
    "lightning": Case("lightning", ["q", "k", "v"], rates=lambda g: [-x for x in g["out.slopes"].values]),
    "retnet": Case("retnet", ["q", "k", "v"], scale=0.25, rates=lambda g: g["out.log_decay"].values, params=["log_decay"]),
    "gla": Case("gla", ["q", "k", "v", "g"], scale=0.25),
    "mamba2_ssd": Case("mamba2_ssd", ["C", "B", "x", "dt"], params=["dt_bias", "A_log", "D"]),
    "delta_rule": Case("delta_rule", ["q", "k", "v", "beta"], scale=0.25, norm=UNIT),
    "gated_delta_rule": Case("gated_delta_rule", ["q", "k", "v", "beta", "g"], scale=0.25, norm=UNIT),
    "gated_delta_rule_neg_eig": Case("gated_delta_rule_neg_eig", ["q", "k", "v", "beta", "g"], scale=0.25, norm=UNIT),
    "kda": Case("kda", ["q", "k", "v", "beta", "g"], scale=0.25, norm=UNIT),
    "kda_op": Case("kda", ["q", "k", "v", "beta", "g"], scale=0.25, norm=UNIT),
    "kda_strong_decay": Case("kda_strong_decay", ["q", "k", "v", "beta", "g"], scale=0.25, norm=UNIT),
    "rwkv7": Case("rwkv7", ["r", "k", "v", "iclr", "w"]),
    "kda_core": Case("kda_core", CORE, params=["A_log", "dt_bias", "norm"], state=None),
    "kda_core_bounded": Case("kda_core", CORE, out="out.o_core_lower_bound", params=["A_log", "dt_bias"], state=None),
    "mla": Case("mla", ["q_nope", "q_rope", "c_kv", "k_rope"], params=["kv_b"], flat=["kv_b"], state=None),
} | {
    "softmax_" + name: Case("softmax_" + name, ["q", "k", "v"], state=None)
    for name in ("mha", "gqa", "mqa", "sliding_window", "softcap", "block_sparse")
} | {
    "softmax_gated": Case("softmax_gated", ["q", "k", "v", "gate"], state=None),
    "softmax_sinks": Case("softmax_sinks", ["q", "k", "v"], out="out.o_full", params=["sinks"], state=None),
    "softmax_sinks_window": Case("softmax_sinks", ["q", "k", "v"], out="out.o_window", params=["sinks"], state=None),
}
# Golden files that a block of another name computes.
BLOCKS = {"gated_delta_rule_neg_eig": "gated_delta_rule", "kda_strong_decay": "kda"}
STEP = 0.01  # of the scan of Mamba-2, in tokens that write or read the state


def softplus_inverse(y):
    return math.log(math.expm1(y))


class Feed:
    """The tokens of a case, as rows of numbers, and what is to come out."""

    def __init__(self, case, golden):
        self.case, self.golden = case, golden
        parts = [golden["in." + name] for name in case.inputs]
        self.shapes = [part.shape[2:] for part in parts]
        self.tokens = parts[0].shape[1]
        self.heads, self.width = golden[case.out].shape[2:]
        self.keys = self.shapes[0][1]
        counts = [math.prod(shape) for shape in self.shapes]
        self.rows = [
            sum((part.values[t * n : (t + 1) * n] for part, n in zip(parts, counts)), []) for t in range(self.tokens)
        ]
        out = golden[case.out].values
        n = self.heads * self.width
        self.want = [out[t * n : (t + 1) * n] for t in range(self.tokens)]
        self.first = 0
        if case.state:
            self.around()

    def state(self, name):
        """A state [H, dk, dv] of the file; Mamba-2 stores [H, dv, dk]."""
        values, k, v = self.golden[name].values, self.keys, self.width
        if "x" in self.case.inputs:
            return [[[values[(h * v + c) * k + j] for c in range(v)] for j in range(k)] for h in range(self.heads)]
        return [[values[(h * k + j) * v : (h * k + j + 1) * v] for j in range(k)] for h in range(self.heads)]

    def row(self, **given):
        """A token whose inputs are zero unless given: a function of the head for each."""
        row = []
        for name, shape in zip(self.case.inputs, self.shapes):
            default = lambda h, size=math.prod(shape[1:]): [0.0] * size
            for h in range(shape[0]):
                row += given.get(name, default)(h)
        return row

    def log_decay(self, h):
        """Of the tokens in front and behind."""
        if self.case.rates:
            return self.case.rates(self.golden)[h]
        return -math.exp(self.golden["in.A_log"].values[h]) * STEP if "dt" in self.case.inputs else 0.0

    def around(self):
        case, keys = self.case, self.keys
        query, key, value = case.inputs[:3]
        unit = lambda j: lambda h: [float(i == j) for i in range(keys)]
        gates = {"beta": lambda h: [1.0]}
        strength = 1.0
        if "dt" in case.inputs:
            gates["dt"] = lambda h: [softplus_inverse(STEP) - self.golden["in.dt_bias"].values[h]]
            strength = STEP
        state = self.state("in.initial_state")

        def written(j):
            # A token j from the end of those in front fades until they end.
            grow = lambda h: case.norm / strength * math.exp(-self.log_decay(h) * (keys - 1 - j))
            return lambda h: [x * grow(h) for x in state[h][j]]

        front = [self.row(**{key: unit(j), value: written(j)}, **gates) for j in range(keys)]
        gates["beta"] = lambda h: [0.0]
        last = self.state(case.state)
        back, read = [], []
        for j in range(keys):
            back.append(self.row(**{query: unit(j)}, **gates))
            fade = [math.exp(self.log_decay(h) * (j + 1)) for h in range(self.heads)]
            read.append([x * fade[h] * case.scale / case.norm for h in range(self.heads) for x in last[h][j]])
        self.rows, self.want, self.first = front + self.rows + back, self.want + read, keys


def page_of(text, block, tokens, width, channels):
    vocabulary = max(tokens, channels)
    body = re.search(rf"model\.block @{block}\(.*?\n\}}\n", text, re.DOTALL)
    if not body:
        raise GoldenError(f"expected a block @{block} in the page")
    return f"""
model.network @net(%ids: tensor<?xi32>) {{
  %table = param "table" : tensor<{vocabulary}x{width}xf32>
  %head = param "head" : tensor<{vocabulary}x{width}xf32>
  %x = embed %ids, %table
  %y = layers %x, "l.{{i}}" = 1 x @{block}
  %logits = linear %y, %head
  output %logits
}}
{body.group(0)}"""


def write_safetensors(path, params):
    header, blob = {}, b""
    for name, (shape, values) in params.items():
        begin, blob = len(blob), blob + struct.pack(f"<{len(values)}f", *values)
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [begin, len(blob)]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + blob)


def run(line):
    done = subprocess.run(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        raise GoldenError(f"expected exit status 0, but got {done.returncode}: {done.stderr.strip()}\n{shlex.join(line)}")


def check(name, options, directory):
    case = CASES[name]
    golden = golden_file.read(os.path.join(options.goldens, case.file + ".safetensors"))
    feed = Feed(case, golden)
    with open(options.page, encoding="utf-8") as file:
        text = file.read()
    tokens, width, channels = len(feed.rows), len(feed.rows[0]), len(feed.want[0])
    vocabulary = max(tokens, channels)
    path, module, weights, logits = (os.path.join(directory, f"{name}.{end}") for end in ("mlir", "denim", "w", "l"))
    with open(path, "w", encoding="utf-8") as file:
        file.write(page_of(text, BLOCKS.get(name, name), tokens, width, channels))

    table = sum(feed.rows, []) + [0.0] * (vocabulary - tokens) * width
    head = [float(i == j) for i in range(vocabulary) for j in range(width)]
    params = {"table": ([vocabulary, width], table), "head": ([vocabulary, width], head)}
    for param in case.params:
        tensor = golden.get("in." + param) or golden["out." + param]
        shape, values = list(tensor.shape), list(tensor.values)
        if param in case.flat:
            shape = [shape[0] * shape[1], shape[2]]
        params["l.0." + param] = (shape, values)
    write_safetensors(weights, params)
    run(["denim-compile", path, "--target", options.target, "-o", module])

    limit = RELATIVE * max(abs(x) for row in feed.want for x in row)
    seen = 0.0
    for way in WAYS:
        line = ["denim-run", "score", module, "--weights", weights, "--logits", logits, "--threads", "2"]
        run(line + ["--tokens", ",".join(map(str, range(tokens))), *way])
        got = [row[:channels] for row in golden_file.find(logits).rows()]
        worst, (row, column) = compare_logits.compare(got[feed.first :], feed.want)
        if not worst <= limit:
            raise GoldenError(
                f"{' '.join(way) or 'whole'}: expected at most {limit:.1e}, but got a difference of {worst:.1e} "
                f"(row {row}, column {column})"
            )
        seen = max(seen, worst)
    print(f"{name}: max abs difference {seen:.1e} of {len(feed.want)} rows, tolerance {limit:.1e}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("page")
    parser.add_argument("goldens")
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--target", default="cpu,native")
    options = parser.parse_args()
    with open(options.page, encoding="utf-8") as file:
        blocks = re.findall(r"model\.block @(\w+)", file.read())
    for name in options.names or [name for name in CASES if BLOCKS.get(name, name) in blocks]:
        with tempfile.TemporaryDirectory() as directory:
            try:
                check(name, options, directory)
            except GoldenError as error:
                sys.exit(f"check_golden_mixers: {name}: {error}")


if __name__ == "__main__":
    main()
