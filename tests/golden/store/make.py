#!/usr/bin/python3
"""Foreign files for the store's tests, made without any code of dinf: NumPy's own
.npy writer, h5py, and a safetensors writer of the format's plain definition."""

import io
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


def npy_of(x, version):
    """The bytes of a .npy file; write_array keeps the order of the axes and of the bytes."""
    out = io.BytesIO()
    np.lib.format.write_array(out, x, version)
    return out.getvalue()


def every_npy():
    """Every type x order of the axes x byte order x version, and the values that NumPy reads from it."""
    values = np.array([[[0, 1], [7, 100], [2, 127]], [[3, 64], [90, 5], [33, 11]]])
    extremes = {"f2": [5.96e-8, 65504, -0.5, 6.1e-5], "f4": [1e-40, 3e38, -1 / 3, 0.1], "f8": [5e-324, 1e300, -0.1, 0.3]}
    for code in ("b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8"):
        x = values % 2 if code == "b1" else values
        x = x.astype(code)
        if code[0] == "f":
            x.reshape(-1)[:4] = extremes[code]
        elif code[0] == "i":
            x.reshape(-1)[:2] = np.iinfo(code).min, np.iinfo(code).max
        elif code[0] == "u":
            x.reshape(-1)[1] = np.iinfo(code).max
        for byte_order in "<>":
            for order in "CF":
                for version in ((1, 0), (2, 0), (3, 0)):
                    a = np.array(x, dtype=byte_order + code, order=order)
                    data = npy_of(a, version)
                    yield data, np.load(io.BytesIO(data))


def pack_npy(path):
    """Count; then for each the file's length and bytes, and its 12 elements in the order of C, as float64 and as int64
    (0 for floats), all little-endian."""
    files = list(every_npy())
    with (HERE / path).open("wb") as f:
        f.write(struct.pack("<q", len(files)))
        for data, x in files:
            whole = np.zeros(12) if x.dtype.kind == "f" else x.ravel()
            f.write(struct.pack("<q", len(data)) + data + x.astype("<f8").tobytes() + whole.astype("<i8").tobytes())


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
    pack_npy("npy.bin")
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
