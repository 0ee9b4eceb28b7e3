#!/usr/bin/env python3
"""Runs a compiled model against its golden file: logits however the prompt is fed, and greedy tokens.

    check_model.py MODULE.denim GOLDEN_DIR [--threads N] [--device cpu|cuda] [--relative R]

GOLDEN_DIR holds a checkpoint with golden.safetensors and meta.json (test/goldens/README.md). Both prompts are scored
whole, cut short, in chunks that divide nothing, and token by token; every way must agree within the tolerance of meta.json.
With `--relative R` the tolerance is R times the largest logit, and greedy tokens are not compared: for activations in
bf16, whose unit roundoff is 2^-9 and of which some tens lie on the way to a logit. A failure prints the command that shows it.
"""

import argparse
import os
import shlex
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "numerics"))
import compare_logits
import golden_file
import tolerance
from golden_file import GoldenError

# 64 is the chunk of a linear recurrence and a page of the cache; the others cut both in two.
CHUNKS = (1, 7, 64, 100)
# Prompts that end at the beginning of a chunk or page, at its end, just behind it.
LENGTHS = (1, 63, 64, 65)


class Checker:
    def __init__(self, options, directory, line):
        """`line` always holds the last command."""
        self.options, self.line = options, line
        self.golden = golden_file.read(os.path.join(options.golden, "golden.safetensors"))
        self.limit = tolerance.suggested(os.path.join(options.golden, "meta.json"))
        self.logits = os.path.join(directory, "logits.safetensors")

    def run(self, command, tokens, *words):
        self.line[:] = ["denim-run", command, self.options.module, "--weights", self.options.golden, *words]
        self.line += ["--threads", str(self.options.threads), "--device", self.options.device]
        self.line += ["--tokens" if command == "score" else "--prompt-tokens", ",".join(map(str, tokens))]
        done = subprocess.run(self.line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if done.returncode:
            raise GoldenError(f"expected exit status 0, but got {done.returncode}: {done.stderr.strip()}")
        return done.stdout

    def score(self, what, tokens, want, *words):
        """The last rows of the logits of `tokens` against `want`."""
        self.run("score", tokens, "--logits", self.logits, *words)
        got = golden_file.find(self.logits).rows()
        if len(got) != len(tokens):
            raise GoldenError(f"expected {len(tokens)} rows of logits, but got {len(got)}")
        if self.options.relative:
            self.limit = self.options.relative * max(abs(x) for row in want for x in row)
        worst, (row, column) = compare_logits.compare(got[-len(want) :], want)
        line = f"{what}: max abs difference {worst:.3e} of {len(want)} rows (row {row}, column {column})"
        if not worst <= self.limit:
            raise GoldenError(f"expected at most {self.limit:.3e}, but got {line}")
        print(line)

    def check(self, prompt):
        tokens = self.golden[f"input_ids.{prompt}"].values
        logits = self.golden[f"logits.{prompt}"].rows()
        greedy = self.golden[f"greedy.{prompt}"].values
        decoded = self.golden[f"decode_logits.{prompt}"].rows()
        self.score(f"{prompt}, whole", tokens, logits)
        for chunk in CHUNKS:
            self.score(f"{prompt}, chunks of {chunk}", tokens, logits, "--chunk", str(chunk))
        self.score(f"{prompt}, token by token", tokens, logits, "--decode", str(len(tokens)))
        for length in LENGTHS:
            if length < len(tokens):
                self.score(f"{prompt}, first {length}", tokens[:length], logits[:length])
        self.score(f"{prompt}, decode", tokens + greedy[: len(decoded)], decoded, "--decode", str(len(decoded)))
        if self.options.relative:
            return
        printed = self.run("generate", tokens, "--max-new-tokens", str(len(greedy)), "--output", "tokens")
        if (got := [int(word) for word in printed.replace(",", " ").split()]) != greedy:
            raise GoldenError(f"expected greedy tokens {greedy}, but got {got}")
        print(f"{prompt}: {len(greedy)} greedy tokens equal")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("module")
    parser.add_argument("golden")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--relative", type=float)
    options = parser.parse_args()
    line = []
    with tempfile.TemporaryDirectory() as directory:
        try:
            checker = Checker(options, directory, line)
            for prompt in ("short", "long"):
                checker.check(prompt)
        except GoldenError as error:
            sys.exit("\n".join([f"check_model: {error}", shlex.join(line)]))


if __name__ == "__main__":
    main()
