#!/usr/bin/env python3
"""The tolerance that a golden's meta.json suggests for logits.

    tolerance.py META.json [f32|f64]          prints the number
"""

import json
import sys

from golden_file import GoldenError


def suggested(path, kind="f32"):
    try:
        with open(path, encoding="utf-8") as file:
            return float(json.load(file)["suggested_abs_tolerance"][kind])
    except OSError as error:
        raise GoldenError(f"cannot read '{path}': {error.strerror}")
    except (ValueError, KeyError, TypeError):
        raise GoldenError(f"expected suggested_abs_tolerance.{kind} in '{path}', but there is none")


def parse(text):
    """A number, or META.json, or META.json:f64."""
    try:
        return float(text)
    except ValueError:
        path, _, kind = text.rpartition(":") if text.endswith((":f32", ":f64")) else (text, "", "f32")
        return suggested(path, kind)


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__.strip())
    try:
        print(suggested(*sys.argv[1:]))
    except GoldenError as error:
        sys.exit(f"tolerance: {error}")


if __name__ == "__main__":
    main()
