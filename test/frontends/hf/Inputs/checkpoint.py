"""Writes a copy of a checkpoint with some things changed: what the tests of denim-import read.

    checkpoint.py SOURCE TARGET [CHANGE ...]

    field=JSON          set a field of config.json          --remove=FIELD      leave it out
    --drop=PATTERN      leave tensors out                   --shape=TENSOR:2,3  give one another shape
    --type=TENSOR:F64   give one another type               --add=TENSOR:2,3    add one, in BF16
    --shards=N          N files and an index                --config=TEXT       config.json is TEXT

Shapes and types are those of the source; all numbers are zero, denim-import reads none.
"""
import fnmatch
import json
import os
import shutil
import struct
import sys

BYTES = {"U8": 1, "BF16": 2, "F16": 2, "F32": 4, "F64": 8, "I32": 4, "F8_E4M3": 1}


def read_header(path):
    with open(path, "rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
    header.pop("__metadata__", None)
    return {name: (entry["dtype"], entry["shape"]) for name, entry in header.items()}


def write_tensors(path, tensors):
    header, offset = {}, 0
    for name, (dtype, shape) in tensors.items():
        size = BYTES[dtype]
        for extent in shape:
            size *= extent
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + offset)


def write_shards(target, tensors, count):
    names, files = list(tensors), {}
    for shard in range(count):
        file = "model-%05d-of-%05d.safetensors" % (shard + 1, count)
        part = names[shard::count]
        write_tensors(os.path.join(target, file), {name: tensors[name] for name in part})
        files.update((name, file) for name in part)
    with open(os.path.join(target, "model.safetensors.index.json"), "w") as file:
        json.dump({"metadata": {}, "weight_map": files}, file)


def extents(text):
    return [int(extent) for extent in text.split(",") if extent]


def main(source, target, *changes):
    with open(os.path.join(source, "config.json")) as file:
        config = json.load(file)
    tensors = read_header(os.path.join(source, "model.safetensors"))
    shards, text = 0, None
    for change in changes:
        what, _, value = change.partition("=")
        name, _, rest = value.rpartition(":")
        if what == "--remove":
            del config[value]
        elif what == "--drop":
            names = fnmatch.filter(tensors, value)
            if not names:
                sys.exit("no tensor is called " + value)
            for name in names:
                del tensors[name]
        elif what == "--shape":
            tensors[name] = (tensors[name][0], extents(rest))
        elif what == "--type":
            tensors[name] = (rest, tensors[name][1])
        elif what == "--add":
            tensors[name] = ("BF16", extents(rest))
        elif what == "--shards":
            shards = int(value)
        elif what == "--config":
            text = value
        else:
            config[what] = json.loads(value)
    shutil.rmtree(target, ignore_errors=True)
    os.makedirs(target)
    with open(os.path.join(target, "config.json"), "w") as file:
        file.write(json.dumps(config) if text is None else text)
    if shards:
        write_shards(target, tensors, shards)
    else:
        write_tensors(os.path.join(target, "model.safetensors"), tensors)


main(*sys.argv[1:])
