#!/usr/bin/env python3
"""Compiles a page of text, runs it with random weights, and compares its logits with what the page means.

    check_page.py PAGE.mlir [--target cpu,native] [--tokens N] [--keep DIR] [--plan-of cuda]
                  [--relative R] [--lengths N,N,...] [--chunks N,N,...]

The meaning is `evaluate_page.py`. The network of the page is an embedding, `layers`, and a product with the head. Tokens are fed
whole, in chunks, one by one, and cut short. With `--plan-of cuda` the plan and the tile programs are those of a CUDA device
(exact: in f32), and only machine code is for the target: what they compute is tested where there is no such device. With
`--relative` they are those of bf16, and differences may be that share of the largest logit.
`--keep` leaves the module (`m.denim`) and its weights (`w.safetensors`). A failure prints the command that shows it.
"""

import argparse
import os
import random
import re
import shlex
import struct
import subprocess
import sys
import tempfile
import json

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "numerics"))
import compare_logits
import golden_file
from evaluate_page import Value, evaluate_block
from golden_file import GoldenError

PARAM = re.compile(r'param "([^"]+)"\s*:\s*tensor<([\dx]+)xf32>')
# f32 against double over some layers of products: about 1e-6 of the largest logit is seen.
RELATIVE = 2e-5
# 64 is the chunk of a linear recurrence and a page of the cache; 7 tokens are too few for a chunk.
CHUNKS = (7, 64)
# Sequences that end at the beginning of a chunk, at its end, just behind it, and in the middle of a block of rows.
LENGTHS = (1, 37, 63, 64, 65)


def read_page(path):
    """({block: lines}, network lines)."""
    with open(path, encoding="utf-8") as file:
        text = re.sub(r"//.*", "", file.read())
    bodies = re.findall(r"model\.(block|network) @(\w+)\([^)]*\)[^{]*\{\n(.*?)\n\}", text, re.DOTALL)
    lines = {name: [line.strip() for line in body.splitlines() if line.strip()] for _, name, body in bodies}
    network = next(lines.pop(name) for kind, name, _ in bodies if kind == "network")
    return lines, network


def make_params(lines, prefix, source):
    params = {}
    for name, shape in (match for line in lines for match in PARAM.findall(line)):
        extents = [int(extent) for extent in shape.split("x")]
        # Products keep the size of their input; vectors are weights of norms, around 1.
        count, fan_in = 1, extents[-1] if len(extents) > 1 else 1
        for extent in extents:
            count *= extent
        center, spread = (0.0, fan_in**-0.5) if len(extents) > 1 else (1.0, 0.3)
        values = struct.unpack(f"<{count}f", struct.pack(f"<{count}f", *(source.gauss(center, spread) for _ in range(count))))
        params[prefix + name] = (extents, list(values))
    return params


def write_safetensors(path, params):
    header, blob = {}, b""
    for name, (shape, values) in params.items():
        begin, blob = len(blob), blob + struct.pack(f"<{len(values)}f", *values)
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [begin, len(blob)]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + blob)


def meaning(blocks, network, schedule, params, tokens):
    values = {name: numbers for name, (_, numbers) in params.items()}
    table, head = (values[name] for name in re.findall(r'param "([^"]+)"', "\n".join(network))[:2])
    width = len(table) // params[re.findall(r'param "([^"]+)"', "\n".join(network))[0]][0][0]
    x = Value([table[token * width : (token + 1) * width] for token in tokens])
    for prefix, block in schedule:
        x = evaluate_block(blocks[block], x, values, prefix)
    return [[sum(a * b for a, b in zip(row, head[i : i + width])) for i in range(0, len(head), width)] for row in x.rows]


def schedule_of(network):
    """[(prefix, block)] of `layers %x, "p.{i}" = N x @block` or `= N x (A x @a, B x @b)`."""
    prefix, times, inner = re.search(r'layers %\w+, "([^"]*)" = (?:(\d+) x )?(.*)', "\n".join(network)).groups()
    period = [name for count, name in re.findall(r"(?:(\d+) x )?@(\w+)", inner) for _ in range(int(count or 1))]
    names = period * int(times or 1)
    return [(prefix.replace("{i}", str(i)) + ".", name) for i, name in enumerate(names)]


def run(line):
    done = subprocess.run(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        raise GoldenError(f"expected exit status 0, but got {done.returncode}: {done.stderr.strip()}\n{shlex.join(line)}")


def check(options, directory):
    blocks, network = read_page(options.page)
    schedule, source = schedule_of(network), random.Random(3)
    params = make_params(network, "", source)
    for prefix, block in schedule:
        params.update(make_params(blocks[block], prefix, source))
    vocabulary = next(iter(params.values()))[0][0]
    tokens = [source.randrange(vocabulary) for _ in range(options.tokens)]
    want = meaning(blocks, network, schedule, params, tokens)
    limit = (options.relative or RELATIVE) * max(abs(x) for row in want for x in row)

    weights, module, logits = (os.path.join(directory, name) for name in ("w.safetensors", "m.denim", "l.safetensors"))
    write_safetensors(weights, params)
    page = options.page
    if options.plan_of == "cuda":
        page = os.path.join(directory, "tile.mlir")
        exact = [] if options.relative else ["--exact"]
        run(["denim-compile", options.page, "--target=nvptx", *exact, "--emit=tile", "-o", page])
    from_tile = ["--compile-from=tile"] if page != options.page else []
    run(["denim-compile", page, *from_tile, "--target", options.target, "-o", module])
    ways = [(len(tokens), ["--chunk", str(size)]) for size in options.chunks if size < len(tokens)]
    ways += [(length, []) for length in options.lengths if length < len(tokens)]
    for length, words in [(len(tokens), []), *ways, (len(tokens), ["--decode", str(len(tokens))])]:
        line = ["denim-run", "score", module, "--weights", weights, "--logits", logits, "--threads", "2"]
        run(line + ["--tokens", ",".join(map(str, tokens[:length])), *words])
        worst, (row, column) = compare_logits.compare(golden_file.find(logits).rows(), want[:length])
        what = f"{length} tokens, {' '.join(words) or 'whole'}"
        if not worst <= limit:
            raise GoldenError(
                f"{what}: expected at most {limit:.1e}, but got a difference of {worst:.1e} (row {row}, column {column})"
            )
        print(f"{os.path.basename(options.page)}, {what}: max abs difference {worst:.1e}, tolerance {limit:.1e}")


def numbers(text):
    return [int(word) for word in text.split(",")]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("page")
    parser.add_argument("--target", default="cpu,native")
    parser.add_argument("--tokens", type=int, default=70)
    parser.add_argument("--keep")
    parser.add_argument("--plan-of", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--relative", type=float)
    parser.add_argument("--lengths", type=numbers, default=LENGTHS)
    parser.add_argument("--chunks", type=numbers, default=CHUNKS)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        if options.keep:
            os.makedirs(options.keep, exist_ok=True)
        try:
            check(options, options.keep or directory)
        except GoldenError as error:
            sys.exit(f"check_page: {options.page}: {error}")


if __name__ == "__main__":
    main()
