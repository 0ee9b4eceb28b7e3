"""Compares two files of logits that `denim-run score` wrote, of the same tokens.

    compare_logits.py GOT.safetensors WANT.safetensors RELATIVE

No logit may be off by more than RELATIVE times the largest."""

import json
import struct
import sys


def read(path):
    with open(path, "rb") as file:
        (size,) = struct.unpack("<Q", file.read(8))
        shape = json.loads(file.read(size))["logits"]["shape"]
        return shape, struct.unpack(f"<{shape[0] * shape[1]}f", file.read())


(shape, got), (expected, want) = read(sys.argv[1]), read(sys.argv[2])
if shape != expected:
    sys.exit(f"expected logits of shape {expected}, but got {shape}")
limit = float(sys.argv[3]) * max(map(abs, want))
worst = max(range(len(want)), key=lambda i: abs(got[i] - want[i]))
print(f"largest difference {abs(got[worst] - want[worst]):.2e} of at most {limit:.2e}")
if not abs(got[worst] - want[worst]) <= limit:
    row, column = divmod(worst, shape[1])
    sys.exit(f"token {row}, logit {column}: expected {want[worst]}, but got {got[worst]}")
