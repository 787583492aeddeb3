#!/usr/bin/python3
"""Foreign files for the store's tests, made without any code of dinf: NumPy's own
.npy writer, h5py, and a safetensors writer of the format's plain definition."""

import json
import pathlib
import struct

import h5py
import numpy as np

HERE = pathlib.Path(__file__).parent


def safetensors(path, tensors, metadata=None, pad=True):
    """tensors: list of (name, dtype code, shape, bytes), laid out in this order."""
    header, at = {}, 0
    if metadata is not None:
        header["__metadata__"] = metadata
    for name, code, shape, data in tensors:
        header[name] = {"dtype": code, "shape": list(shape), "data_offsets": [at, at + len(data)]}
        at += len(data)
    text = json.dumps(header).encode()
    if pad:
        text += b" " * (-len(text) % 8)
    (HERE / path).write_bytes(struct.pack("<Q", len(text)) + text + b"".join(t[3] for t in tensors))


def main():
    x = np.arange(6, dtype=np.float64).reshape(2, 3) / 4 - 0.5  # exact in every float type
    half = np.array([0.0, -0.0, 1.5, 6.1e-5, 5.96e-8, 65504.0, np.inf, -np.inf], np.float16)
    bfloat = (np.array([1.0, -2.5, 3.0e38, 1e-40], np.float32).view(np.uint32) >> 16).astype(np.uint16)
    # one odd byte first: everything behind it is misaligned, as foreign files may be
    safetensors(
        "foreign.safetensors",
        [
            ("bytes", "U8", (3,), bytes([1, 2, 3])),
            ("f32", "F32", (2, 3), x.astype("<f4").tobytes()),
            ("f64", "F64", (2, 3), x.astype("<f8").tobytes()),
            ("f16", "F16", (8,), half.astype("<f2").tobytes()),
            ("bf16", "BF16", (2, 2), bfloat.astype("<u2").tobytes()),
            ('gr\u00fc\u00df \U0001f600 "q"', "I64", (), np.int64(-7).tobytes()),
            ("empty", "F32", (0, 4), b""),
            ("i32", "I32", (1, 2), np.array([5, -5], "<i4").tobytes()),
        ],
        {"source": "numpy", "note": "tab\tand \u00fc"},
        pad=False,
    )
    np.save(HERE / "f32.npy", x.astype("<f4"))
    np.save(HERE / "big_endian.npy", x.astype(">f8"))
    np.save(HERE / "fortran.npy", np.asfortranarray(x))
    np.save(HERE / "scalar.npy", np.float64(2.5))
    np.save(HERE / "images.npy", np.arange(2 * 3 * 4 * 5, dtype=np.uint8).reshape(2, 3, 4, 5))
    with (HERE / "version2.npy").open("wb") as f:
        np.lib.format.write_array(f, np.array([1, -2, 3], "<i8"), version=(2, 0))
    nan = x.copy()
    nan[1, 2] = np.nan
    np.save(HERE / "nan.npy", nan)
    with h5py.File(HERE / "matrix.h5", "w") as f:
        f.create_dataset("deep/x", data=x, track_times=False)
        f.create_dataset("single", data=x.astype(np.float32), track_times=False)
        f.create_dataset("cube", data=np.zeros((2, 2, 2)), track_times=False)
        f.create_dataset("whole", data=np.arange(4).reshape(2, 2), track_times=False)


if __name__ == "__main__":
    main()
