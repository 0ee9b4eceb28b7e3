"""Compares a checkpoint with weights in blocks with the one that it was made of.

    blocks.py SOURCE BLOCKS q8_0|q4_0 EXPECTED_COUNT

Reads both files itself. An element must be the multiple of its block's scale that is nearest to the source's, within the
range of the integers, and the scale such that the largest element is at the end of that range, up to rounding to f16.
"""
import json
import struct
import sys

STEP = 13  # rows from one that is compared to the next


def read(path):
    data = open(path + "/model.safetensors", "rb").read()
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8:8 + size])
    header.pop("__metadata__", None)
    begin = 8 + size
    return {name: (entry["dtype"], entry["shape"], data[begin + entry["data_offsets"][0]:begin + entry["data_offsets"][1]])
            for name, entry in header.items()}


def brain_row(data, row, columns):
    halves = struct.unpack_from("<%dH" % columns, data, row * columns * 2)
    return struct.unpack("<%df" % columns, struct.pack("<%dI" % columns, *(half << 16 for half in halves)))


def compare_row(kind, stored, want, where):
    count = len(want) // 32
    scales = struct.unpack_from("<%de" % count, stored)
    for block, scale in enumerate(scales):
        if kind == "q8_0":
            integers = struct.unpack_from("<32b", stored, 2 * count + 32 * block)
            low, high = -127, 127
        else:
            halves = stored[2 * count + 16 * block:2 * count + 16 * (block + 1)]
            integers = [(byte & 15) - 8 for byte in halves] + [(byte >> 4) - 8 for byte in halves]
            low, high = -8, 7
        elements = want[32 * block:32 * (block + 1)]
        for integer, element in zip(integers, elements):
            ratio = min(max(element / scale, low), high) if scale else 0
            assert abs(integer - ratio) <= 0.5 + 1e-6, (where, block, integer, ratio)
        largest = max(abs(element) for element in elements)
        assert abs(abs(scale) * -low - largest) <= largest * 2.0**-11 + 2.0**-17, (where, block, scale, largest)


def main(source, blocks, kind, expected):
    before, after = read(source), read(blocks)
    assert before.keys() == after.keys(), before.keys() ^ after.keys()
    changed = 0
    for name, (dtype, shape, data) in after.items():
        old_type, old_shape, old_data = before[name]
        if dtype != "U8":
            assert (dtype, shape, data) == (old_type, old_shape, old_data), name
            continue
        changed += 1
        rows, columns = old_shape
        size = columns // 32 * {"q8_0": 34, "q4_0": 18}[kind]
        assert old_type == "BF16" and shape == [rows, size], name
        for row in range(0, rows, STEP):
            compare_row(kind, data[row * size:(row + 1) * size], brain_row(old_data, row, columns), (name, row))
    assert changed == int(expected), changed
    print("same")


main(*sys.argv[1:])
