#!/usr/bin/env python3
"""Compares logits that `denim-run score` wrote with those of a golden file.

    compare_logits.py GOT.safetensors GOLDEN.safetensors --name logits.short --tolerance T
                      [--relative] [--got-name NAME] [--rows=A:B]

T is a number or a golden's meta.json (`meta.json:f64` for its stricter one); with --relative it is a share of the
largest magnitude of the golden's rows. Prints the largest absolute difference; exit status 1 and one line on stderr when it is above T, when a value is not a number, or when shapes differ.
"""

import argparse
import math
import sys

import golden_file
import tolerance
from golden_file import GoldenError


def select(rows, text):
    """Rows A:B, counted as Python slices count them."""
    if text is None:
        return rows
    try:
        begin, end = (int(part) if part else None for part in text.split(":"))
    except ValueError:
        raise GoldenError(f"expected --rows=A:B, but got '{text}'")
    return rows[begin:end]


def compare(got, want):
    """(largest absolute difference, its row and column)."""
    if len(got) != len(want):
        raise GoldenError(f"expected {len(want)} rows, but got {len(got)}")
    if not want:
        raise GoldenError("expected at least one row, but got none")
    worst, where = 0.0, (0, 0)
    for row, (mine, theirs) in enumerate(zip(got, want)):
        if len(mine) != len(theirs):
            raise GoldenError(f"expected rows of {len(theirs)} logits, but got {len(mine)}")
        for column, (a, b) in enumerate(zip(mine, theirs)):
            difference = abs(a - b)
            if math.isnan(difference) or math.isinf(difference):
                raise GoldenError(f"expected {b} in row {row}, column {column}, but got {a}")
            if difference > worst:
                worst, where = difference, (row, column)
    return worst, where


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("got")
    parser.add_argument("golden")
    parser.add_argument("--name", required=True, help="tensor of the golden file")
    parser.add_argument("--got-name", help="tensor of GOT; default: its only one")
    parser.add_argument("--tolerance", required=True, help="a number, META.json or META.json:f64")
    parser.add_argument("--relative", action="store_true", help="the tolerance is relative to the largest magnitude")
    parser.add_argument("--rows", help="--rows=A:B: these rows of GOT (-8: is the last 8), and of the golden unless it holds just as many")
    options = parser.parse_args()
    try:
        limit = tolerance.parse(options.tolerance)
        got = select(golden_file.find(options.got, options.got_name).rows(), options.rows)
        want = golden_file.find(options.golden, options.name).rows()
        if len(want) != len(got):
            want = select(want, options.rows)
        worst, (row, column) = compare(got, want)
        if options.relative:
            limit *= max(abs(value) for line in want for value in line)
    except GoldenError as error:
        sys.exit(f"compare_logits: {error}")
    line = f"{options.name}: max abs difference {worst:.3e} of {len(want)} rows (row {row}, column {column})"
    if not worst <= limit:
        sys.exit(f"compare_logits: expected at most {limit:.3e}, but got {line}")
    print(f"{line}, tolerance {limit:.3e}")


if __name__ == "__main__":
    main()
