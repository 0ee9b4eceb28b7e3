#!/usr/bin/env python3
"""Compares -log p of each next token, from logits that `denim-run score` wrote, with those of a golden file.

    compare_nll.py LOGITS.safetensors GOLDEN.safetensors --tokens long_input_ids --name long_nll --tolerance T [--mean]

Prints the mean of both and the largest absolute difference; exit status 1 and one line on stderr when it is above T, or with --mean
the difference of the means: for weights that are other numbers.
"""

import argparse
import math
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "numerics"))
import golden_file
from golden_file import GoldenError


def losses(rows, tokens):
    """-log softmax(row i)[token i + 1]; the largest logit is taken out so that exp cannot overflow."""
    for row, token in zip(rows, tokens[1:]):
        top = max(row)
        yield top + math.log(sum(math.exp(x - top) for x in row)) - row[token]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("logits")
    parser.add_argument("golden")
    parser.add_argument("--tokens", required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("--tolerance", type=float, required=True)
    parser.add_argument("--mean", action="store_true")
    options = parser.parse_args()
    try:
        rows = golden_file.find(options.logits).rows()
        tokens = golden_file.find(options.golden, options.tokens).values
        want = golden_file.find(options.golden, options.name).values
        if len(rows) != len(tokens) or len(want) != len(tokens) - 1:
            raise GoldenError(f"expected {len(tokens)} rows and {len(tokens) - 1} losses, but got {len(rows)} and {len(want)}")
        got = list(losses(rows, tokens))
        worst, where = max((abs(a - b), i) for i, (a, b) in enumerate(zip(got, want)))
        mean, golden = sum(got) / len(got), sum(want) / len(want)
        means = f"mean {mean:.6f}, golden {golden:.6f}"
        line = f"{options.name}: max abs difference {worst:.3e} of {len(want)} tokens (token {where}), {means}"
        if not (abs(mean - golden) if options.mean else worst) <= options.tolerance:
            raise GoldenError(f"expected at most {options.tolerance:.3e}, but got {line}")
    except GoldenError as error:
        sys.exit(f"compare_nll: {error}")
    print(f"{line}, tolerance {options.tolerance:.3e}")


if __name__ == "__main__":
    main()
