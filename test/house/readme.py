"""What the READMEs say of the tree is true.

    readme.py ROOT

Every link and every path of this repository in backticks leads somewhere, and every block of the model language in the
front page stands in the page it is taken from, line by line.
"""
import os
import re
import sys

ROOMS = ("codegen", "compiler", "dialects", "examples", "formats", "frontends", "runtime", "spec", "test")
PAGE = "examples/qwen3_next_tiny/model.mlir"


def readmes(root):
    yield os.path.join(root, "README.md")
    for room in ROOMS:
        for folder, _, files in os.walk(os.path.join(root, room)):
            if "README.md" in files:
                yield os.path.join(folder, "README.md")


def paths(text):
    """(path, whether it counts from the README's folder) of each link and each path in backticks."""
    for target in re.findall(r"\]\(([^)#\s]+)\)", text):
        if "://" not in target:
            yield target, True
    for word in re.findall(r"`([\w./-]+)`", text):
        # A single capital letter stands for a name, as in test/P/Name.cpp.
        if word.split("/")[0] in ROOMS and "/" in word and not re.search(r"(^|/)[A-Z](/|$)", word):
            yield word, False


def main(root):
    wrong = []
    for readme in readmes(root):
        with open(readme, encoding="utf-8") as file:
            text = file.read()
        name = os.path.relpath(readme, root)
        for path, is_link in paths(text):
            here = os.path.dirname(readme) if is_link else root
            if not os.path.exists(os.path.join(here, path)):
                wrong.append(f"{name}: expected '{path}' to exist, but it does not")
    with open(os.path.join(root, PAGE), encoding="utf-8") as file:
        page = file.read()
    with open(os.path.join(root, "README.md"), encoding="utf-8") as file:
        blocks = re.findall(r"```mlir\n(.*?)```", file.read(), re.DOTALL)
    if not blocks:
        wrong.append("README.md: expected a block of the model language, but got none")
    for block in blocks:
        if block not in page:
            wrong.append(f"README.md: expected lines of {PAGE}, but got other ones")
    print("\n".join(wrong) or "all paths lead somewhere")
    return bool(wrong)


sys.exit(main(sys.argv[1]))
