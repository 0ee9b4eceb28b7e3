"""Copies a checkpoint of BF16 and makes the first element of a tensor infinite: not_finite.py SOURCE TARGET TENSOR."""
import json
import shutil
import sys

source, target, name = sys.argv[1:]
shutil.copytree(source, target)
with open(target + "/model.safetensors", "r+b") as file:
    size = int.from_bytes(file.read(8), "little")
    begin = json.loads(file.read(size))[name]["data_offsets"][0]
    file.seek(8 + size + begin)
    file.write(b"\x80\x7f")
