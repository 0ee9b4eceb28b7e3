#!/usr/bin/env python3
"""Compiles two depths of one network: identical layers must share their code.

    depth_costs_nothing.py SHALLOW.mlir DEEP.mlir

Same kernels, text that differs in the schedule alone, less than 1.5 times the processor time.
"""

import re
import resource
import subprocess
import sys


def compile(page, *words):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(["denim-compile", page, *words], stdout=subprocess.PIPE, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return done.stdout, after.ru_utime - before.ru_utime


def kernels(page):
    text = compile(page, "--emit=tile")[0].decode()
    return [line for line in text.splitlines() if not re.match(r"\s*plan\.schedule", line)]


def seconds(page):
    # Other processes only ever add time: the smallest of a few is the compiler's own.
    return min(compile(page, "--target=cpu,native")[1] for _ in range(2))


def main():
    shallow, deep = sys.argv[1:]
    a, b = kernels(shallow), kernels(deep)
    count = sum("tile.kernel" in line for line in a)
    if a != b:
        sys.exit(f"depth_costs_nothing: expected the {count} kernels of the shallow network, but got others")
    ratio = seconds(deep) / seconds(shallow)
    if ratio >= 1.5:
        sys.exit(f"depth_costs_nothing: expected less than 1.5 times the time, but got {ratio:.2f}")
    print(f"{count} kernels for both, {ratio:.2f} times the time")


if __name__ == "__main__":
    main()
