"""Which way the rooms may look: every include of a file of ours must be one that its room allows.

    layering.py ROOT
"""
import os
import re
import sys

# A room may include its own files and those below; the longest prefix of a path decides. Tests may include anything.
ALLOWED = {
    "dialects/interfaces": ["formats/blocks"],
    "dialects/model": ["dialects/interfaces"],
    "dialects/attn": ["dialects/interfaces"],
    "dialects/plan": ["dialects/interfaces"],
    "dialects/tile": ["dialects/interfaces"],
    "dialects/attn/reference": [],
    "dialects/model/reference": ["dialects/attn/reference"],
    # The pass that attaches caches looks at whole blocks.
    "dialects/attn/transforms": ["dialects/attn", "dialects/model/ir", "dialects/interfaces"],
    "compiler": ["dialects", "codegen", "runtime/abi"],
    "compiler/planner": [],
    # The meaning of a page with the numbers of a checkpoint.
    "compiler/evaluator": ["dialects", "formats"],
    # Checks are carried to machines without a compiler in a file of their own.
    "compiler/tools/denim-check": ["compiler", "dialects", "formats"],
    # A module is written as all files are that others may have mapped.
    "compiler/tools/denim-compile": ["compiler", "formats/file"],
    "codegen": ["dialects/tile", "dialects/plan", "dialects/interfaces", "runtime/abi"],
    "formats": [],
    "frontends": ["dialects/model", "dialects/attn", "dialects/interfaces", "formats"],
    "runtime": ["formats"],
    "examples": ["runtime/include"],
}
ROOMS = {room.split("/")[0] for room in ALLOWED}
# The planner throws (Boost.Graph does) and is plain data; the running program and the reference never see a compiler.
WITHOUT_MLIR = ("compiler/planner", "runtime", "formats", "dialects/attn/reference", "dialects/model/reference")


def room_of(path):
    return max((room for room in ALLOWED if path.startswith(room + "/")), key=len, default=None)


def refuses(path, included):
    room = room_of(path)
    if included.split("/")[0] in ("mlir", "llvm"):
        return room.startswith(WITHOUT_MLIR)
    if included.split("/")[0] not in ROOMS:
        return False  # the system's, or beside the file
    return not any(included.startswith(prefix + "/") for prefix in ALLOWED[room] + [room])


def main(root):
    wrong = []
    for top in sorted(ROOMS):
        for folder, _, files in os.walk(os.path.join(root, top)):
            for name in sorted(files):
                if not name.endswith((".h", ".cpp", ".c", ".td", ".inc")):
                    continue
                path = os.path.relpath(os.path.join(folder, name), root)
                with open(os.path.join(folder, name), encoding="utf-8") as file:
                    for number, line in enumerate(file, 1):
                        include = re.match(r'\s*#?\s*include\s+["<]([^">]+)[">]', line)
                        if include and refuses(path, include.group(1)):
                            wrong.append("%s:%d: %s may not include %s" % (path, number, room_of(path), include.group(1)))
    print("\n".join(wrong))
    return 1 if wrong else 0


sys.exit(main(sys.argv[1]))
