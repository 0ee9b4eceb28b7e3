"""A source holds one idea: none has more than 800 lines.

    length.py ROOT
"""
import os
import sys

MOST = 800
ROOMS = ("codegen", "compiler", "dialects", "examples", "formats", "frontends", "runtime", "test")
KINDS = (".h", ".cpp", ".c", ".cu", ".td", ".py", ".mlir", ".test", ".txt", ".md")


def main(root):
    wrong = 0
    for room in ROOMS:
        for folder, _, files in os.walk(os.path.join(root, room)):
            for name in sorted(files):
                path = os.path.join(folder, name)
                if not name.endswith(KINDS) or "/goldens/" in path:
                    continue
                with open(path, encoding="utf-8") as file:
                    lines = sum(1 for _ in file)
                if lines > MOST:
                    wrong = 1
                    print("%s: expected at most %d lines, but got %d" % (os.path.relpath(path, root), MOST, lines))
    return wrong


sys.exit(main(sys.argv[1]))
