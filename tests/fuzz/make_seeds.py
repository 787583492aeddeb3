#!/usr/bin/python3
"""First inputs of the fuzzers, valid and nearly so: make_seeds.py FOLDER"""
import io
import json
import os
import struct
import sys

import numpy as np


def put(name, files):
    folder = os.path.join(sys.argv[1], name)
    os.makedirs(folder, exist_ok=True)
    for k, data in enumerate(files):
        with open(os.path.join(folder, f"seed{k:02d}"), "wb") as out:
            out.write(data)


def npy(array, version=None):
    out = io.BytesIO()
    np.lib.format.write_array(out, array, version)
    return out.getvalue()


def safetensors(header, data=b""):
    text = json.dumps(header).encode() if isinstance(header, dict) else header
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data


def tensor(kind, shape, begin, end):
    return {"dtype": kind, "shape": shape, "data_offsets": [begin, end]}


record = bytes(range(256)) * 12
put("cifar", [b"\0" + b"\3" + record, b"\1" + b"\3\4" + record, b"\2" + (b"\3\5" + record)[:-1], b"\0\x0b" + record,
              b"\4" + (b"\xff" + record) * 2])
put("npy", [npy(np.arange(6, dtype=t).reshape(2, 3))
            for t in ("<f4", "<f8", "u1", "<i8", ">f4", "<i4", "<f2", ">i2", "<u8", "i1")] +
    [npy(np.ones((2, 3), bool)), npy(np.asfortranarray(np.arange(24, dtype=">u4").reshape(2, 3, 4)), (3, 0))] +
    [npy(np.asfortranarray(np.ones((3, 2)))), npy(np.zeros((0, 4))), npy(np.array(1.0)), npy(np.ones(3), (2, 0)),
     npy(np.ones((1, 1, 1, 1, 2))), npy(np.ones((4, 4)))[:-5]])
put("safetensors", [
    safetensors({"a": tensor("F32", [2, 2], 0, 16), "b": tensor("I64", [], 16, 24)}, bytes(24)),
    safetensors({"__metadata__": {"k": "v"}, "h": tensor("F16", [3], 0, 6), "b": tensor("BF16", [1], 6, 8)}, bytes(8)),
    safetensors({"d": tensor("F64", [1], 0, 8), "i": tensor("I32", [2], 8, 16), "u": tensor("U8", [5], 16, 21)},
                bytes(21)),
    safetensors({"a": tensor("F32", [0, 7], 0, 0)}),
    safetensors({"a": tensor("F32", [2], 0, 8), "b": tensor("F32", [2], 4, 12)}, bytes(12)),
    safetensors({"a": tensor("F32", [2 ** 40, 2 ** 40], 0, 8)}, bytes(8)),
    safetensors(b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},'
                b'"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}', bytes(8)),
    safetensors({}), safetensors(b"[]"), struct.pack("<Q", 2 ** 63), b"short"])
put("config", [s.encode() for s in (
    'number = 3; real = 0.25; flag = false; text = "a"; choice = "two"; numbers = [1, 2]; names = ("x", "y");',
    'a = { number = [1, 2]; real = (0.1, 0.2); text = "t"; };\nb = ( { name = "x"; }, { name = "y"; } );',
    'text = "${HOME}/x" "joined"; number = 0x1F; // comment\n# other\n/* third */ real = 1e-3;',
    'number = 99999999999; number2 = 99999999999L; flag = TRUE; numbers = [];', 'text = "${', 'a = (((((1)))));',
    'numbr = 1; text = 4; choice = "thre";', 'a : { b : { c : [1, "x"]; }; };', '')])
put("dataset", [json.dumps(s).encode() for s in (
    {"format": "procedural", "count": 20, "classes": 5, "seed": 3, "family": 1, "size": 16, "begin": 2},
    {"of": {"format": "procedural", "count": 20}, "seed": 4, "begin": 3, "count": 5},
    {"parts": [{"format": "procedural", "count": 7},
               {"of": {"format": "procedural", "count": 9}, "seed": -1, "begin": 8}]},
    {"format": "cifar10", "path": "none", "split": "all", "classes": 3},
    {"format": "npy", "path": "none", "layout": "hwc"},
    {"of": {"format": "procedural", "count": 20}, "begin": 21}, {"parts": []}, [1])])
