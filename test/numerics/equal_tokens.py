#!/usr/bin/env python3
"""Compares what `denim-run generate` printed with the greedy tokens of a golden file. They must be equal.

    denim-run generate ... | equal_tokens.py - GOLDEN.safetensors --name greedy_ids --after input_ids
    equal_tokens.py FILE GOLDEN.safetensors --name greedy.short --ids [--first N]

GOT is a file or - for standard input. By default it is the text of a byte-level model: one byte, one token. With --ids it is
token numbers separated by commas or spaces. --after NAME drops the tokens of a prompt from the golden's start.
Exit status 1 and one line on stderr at the first difference.
"""

import argparse
import re
import sys

import golden_file
from golden_file import GoldenError


def printed_tokens(path, as_ids):
    try:
        raw = sys.stdin.buffer.read() if path == "-" else open(path, "rb").read()
    except OSError as error:
        raise GoldenError(f"cannot read '{path}': {error.strerror}")
    if not as_ids:
        return list(raw)
    words = [word for word in re.split(rb"[\s,]+", raw) if word]
    if bad := [word for word in words if not re.fullmatch(rb"-?\d+", word)]:
        raise GoldenError(f"expected token numbers, but got '{bad[0].decode(errors='replace')}'")
    return [int(word) for word in words]


def golden_tokens(path, name, after):
    tokens = golden_file.find(path, name)
    if tokens.dtype not in ("I64", "I32"):
        raise GoldenError(f"expected '{name}' to be I64 or I32, but got {tokens.dtype}")
    if after is None:
        return tokens.values
    prompt = golden_file.find(path, after).values
    if tokens.values[: len(prompt)] != prompt:
        raise GoldenError(f"expected '{name}' to begin with '{after}', but it does not")
    return tokens.values[len(prompt) :]


def check(got, want, is_text):
    # A program that prints text ends its last line; that byte is no token.
    if is_text and len(got) == len(want) + 1 and got[-1] == ord("\n"):
        got = got[:-1]
    for index, (mine, theirs) in enumerate(zip(got, want)):
        if mine != theirs:
            raise GoldenError(f"expected token {theirs} at index {index}, but got {mine}")
    if len(got) != len(want):
        raise GoldenError(f"expected {len(want)} tokens, but got {len(got)}, equal as far as they go")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("got")
    parser.add_argument("golden")
    parser.add_argument("--name", required=True, help="tensor of the golden file, I64 or I32")
    parser.add_argument("--after", help="a tensor whose tokens the golden begins with and GOT does not")
    parser.add_argument("--ids", action="store_true", help="GOT is numbers, not text")
    parser.add_argument("--first", type=int, help="compare only so many tokens of the golden")
    options = parser.parse_args()
    try:
        want = golden_tokens(options.golden, options.name, options.after)
        if options.first is not None:
            if not 0 < options.first <= len(want):
                raise GoldenError(f"expected --first of 1 to {len(want)}, but got {options.first}")
            want = want[: options.first]
        if not want:
            raise GoldenError("expected at least one golden token, but there is none")
        check(printed_tokens(options.got, options.ids), want, not options.ids)
    except GoldenError as error:
        sys.exit(f"equal_tokens: {error}")
    print(f"{options.name}: {len(want)} tokens equal")


if __name__ == "__main__":
    main()
