"""Assembles a PTX text and holds what ptxas says of its entries against bounds.

assemble.py FILE.ptx TARGET [NAME=BYTES[,ADVISORY...]...]

Entries NAME (without their number: `softmax_7_many` is `softmax_many`) may store and load BYTES of spilled registers
together, all others none. An advisory of the C75xx family (products of warpgroups that wait for each other, registers that
cannot be handed over) fails unless it is allowed for its entry; one that names no entry, for any.
"""
import os
import re
import shutil
import subprocess
import sys

ptx, target = sys.argv[1:3]
bounds, allowed = {}, {}
for word in sys.argv[3:]:
    name, rest = word.split("=")
    bounds[name], *allowed[name] = rest.split(",")
ptxas = shutil.which("ptxas") or "/usr/local/cuda/bin/ptxas"
run = subprocess.run([ptxas, "-arch=" + target, "-v", "-O3", "-o", os.devnull, ptx], stdout=subprocess.PIPE,
                     stderr=subprocess.STDOUT, universal_newlines=True)
if run.returncode != 0:
    sys.exit(run.stdout)


def kind(entry):
    """`softmax_many` of `softmax_7_many`."""
    return re.sub(r"_\d+", "", entry)


def is_allowed(line):
    advisory = re.search(r"\((C7\d+)\)", line)
    function = re.search(r"function '(\w+)'", line)
    lists = [allowed.get(kind(function.group(1)), [])] if function else allowed.values()
    return advisory and any(advisory.group(1) in names for names in lists)


faults, entry, spilled = [], None, {}
for line in run.stdout.splitlines():
    compiling = re.search(r"Compiling entry function '(\w+)'", line)
    spills = re.search(r"(\d+) bytes spill stores, (\d+) bytes spill loads", line)
    if compiling:
        entry = compiling.group(1)
    elif spills:
        spilled[entry] = int(spills.group(1)) + int(spills.group(2))
    elif re.search(r"warning|\(C7", line) and not is_allowed(line):
        faults.append(line)
if not spilled:
    faults.append("expected ptxas to say what entries spill, but got:\n" + run.stdout)
for entry, amount in sorted(spilled.items()):
    bound = int(bounds.get(kind(entry), 0))
    if amount > bound:
        faults.append("{}: expected at most {} bytes of spills, but got {}".format(entry, bound, amount))
faults += ["expected an entry {}, but got none".format(name) for name in bounds if name not in map(kind, spilled)]
if faults:
    sys.exit("\n".join(faults))
print(len(spilled), "entries assembled")
