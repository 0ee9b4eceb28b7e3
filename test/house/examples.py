"""Documentation is true: every ```mlir block of the generated pages of the languages goes through denim-opt.

    examples.py BUILD
"""
import glob
import os
import re
import subprocess
import sys


def main(build):
    # What `mlir_tablegen(... -gen-dialect-doc)` writes beside the generated code of a language.
    pages = sorted(glob.glob(os.path.join(build, "dialects", "*", "ir", "*.md")))
    examples = wrong = 0
    for page in pages:
        with open(page, encoding="utf-8") as file:
            text = file.read()
        for block in re.finditer(r"^( *)```mlir\n(.*?)^ *```", text, re.M | re.S):
            examples += 1
            run = subprocess.run(["denim-opt", "-"], input=block.group(2), capture_output=True, text=True)
            if run.returncode:
                wrong += 1
                line = text.count("\n", 0, block.start()) + 1
                print("%s:%d: expected an example that denim-opt reads, but got:" % (page, line))
                print(run.stderr)
    print("%d pages, %d examples, %d wrong" % (len(pages), examples, wrong))
    return 1 if wrong or not examples else 0


sys.exit(main(sys.argv[1]))
