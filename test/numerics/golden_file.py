"""Tensors of a safetensors file as lists of numbers, with the standard library only.

Tests run where numpy may not be. The logits compared here are small, so plain lists are fast enough.
"""

import array
import json
import struct
import sys

# dtype of the file -> typecode of array; BF16 and F16 are decoded below.
TYPECODES = {"F64": "d", "F32": "f", "I64": "q", "I32": "i", "U8": "B"}


class GoldenError(Exception):
    """The input is at fault; the message is one line for the reader."""


class Tensor:
    def __init__(self, name, dtype, shape, values):
        self.name, self.dtype, self.shape, self.values = name, dtype, shape, values

    def rows(self):
        """The tensor as rows of its last dimension; leading dimensions of size 1 or more are merged."""
        width = self.shape[-1] if self.shape else 1
        return [self.values[i : i + width] for i in range(0, len(self.values), width)] if width else []


def read(path):
    """{name: Tensor} of the file."""
    try:
        with open(path, "rb") as file:
            raw = file.read()
    except OSError as error:
        raise GoldenError(f"cannot read '{path}': {error.strerror}")
    try:
        (length,) = struct.unpack_from("<Q", raw)
        header = json.loads(raw[8 : 8 + length])
        return {name: decode(name, entry, raw, 8 + length) for name, entry in header.items() if name != "__metadata__"}
    except (struct.error, ValueError, KeyError, TypeError) as error:
        raise GoldenError(f"expected a safetensors file, but '{path}' is damaged: {error}")


def decode(name, entry, raw, base):
    begin, end = entry["data_offsets"]
    blob, dtype = raw[base + begin : base + end], entry["dtype"]
    if dtype == "BF16":  # the upper half of a float
        values = array.array("f", b"".join(b"\0\0" + blob[i : i + 2] for i in range(0, len(blob), 2)))
    elif dtype == "F16":
        values = [value for (value,) in struct.iter_unpack("<e", blob)]
    elif dtype == "BOOL":
        values = array.array("B", blob)
    elif dtype in TYPECODES:
        values = array.array(TYPECODES[dtype], blob)
    else:
        return Tensor(name, dtype, entry["shape"], [])
    if sys.byteorder == "big" and not isinstance(values, list):
        values.byteswap()
    return Tensor(name, dtype, entry["shape"], list(values))


def find(path, name=None):
    """The named tensor of the file, or its only one."""
    tensors = read(path)
    if name is None:
        if len(tensors) != 1:
            raise GoldenError(f"expected one tensor in '{path}', but got {len(tensors)}: {', '.join(sorted(tensors))}")
        return next(iter(tensors.values()))
    if name not in tensors:
        raise GoldenError(f"expected a tensor '{name}' in '{path}', but got {', '.join(sorted(tensors)) or 'none'}")
    return tensors[name]
