#!/usr/bin/python3
"""Tiny image sets written by NumPy, and resized images from plain definitions.

sets/cifar10/*.bin (2 records a file), sets/cifar100/*.bin (3), sets/*.npy; pixel
(i, c, y, x) = (37 i + 101 c + 7 y + 3 x) mod 256, labels (3 i) mod 10.
resize.bin: int32 height, width, cases; uint8 source (3, h, w); each case int32
size and uint8 (3, size, size).
"""
import os
import struct

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
SETS = os.path.join(HERE, "sets")


def images(n, h, w):
    i, c, y, x = np.ogrid[:n, :3, :h, :w]
    return ((37 * i + 101 * c + 7 * y + 3 * x) % 256).astype(np.uint8)


def write_cifar(folder, names, records, labels_before):
    os.makedirs(os.path.join(SETS, folder), exist_ok=True)
    every = images(records * len(names), 32, 32)
    for k, name in enumerate(names):
        with open(os.path.join(SETS, folder, name), "wb") as out:
            for i in range(k * records, (k + 1) * records):
                out.write(bytes([9] * labels_before + [3 * i % 10]) + every[i].tobytes())


def area(values, size, axis):
    """Mean over the area of an output: every value repeated, then blocks averaged."""
    n = values.shape[axis]
    moved = np.moveaxis(np.repeat(values, size, axis), axis, -1)
    return np.moveaxis(moved.reshape(moved.shape[:-1] + (size, n)).mean(-1), -1, axis)


def bilinear(values, size, axis):
    n = values.shape[axis]
    at = np.clip((np.arange(size) + 0.5) * n / size - 0.5, 0, n - 1)
    moved = np.moveaxis(values, axis, -1)
    flat = np.array([np.interp(at, np.arange(n), row) for row in moved.reshape(-1, n)])
    return np.moveaxis(flat.reshape(moved.shape[:-1] + (size,)), -1, axis)


def resized(source, size):
    out = source.astype(float)
    for axis in (1, 2):
        out = (area if out.shape[axis] > size else bilinear)(out, size, axis)
    return np.floor(out + 0.5).astype(np.uint8)


def write_resize():
    rng = np.random.default_rng(5)
    source = rng.integers(0, 256, (3, 20, 12), dtype=np.uint8)
    sizes = (1, 4, 7, 12, 16, 20, 31)
    with open(os.path.join(HERE, "resize.bin"), "wb") as out:
        out.write(struct.pack("<3i", 20, 12, len(sizes)) + source.tobytes())
        for size in sizes:
            out.write(struct.pack("<i", size) + resized(source, size).tobytes())


write_cifar("cifar10", [f"data_batch_{k}.bin" for k in range(1, 6)] + ["test_batch.bin"], 2, 0)
write_cifar("cifar100", ["train.bin", "test.bin"], 3, 1)
np.save(os.path.join(SETS, "chw.npy"), images(4, 5, 6))
np.save(os.path.join(SETS, "hwc.npy"), np.ascontiguousarray(images(4, 5, 6).transpose(0, 2, 3, 1)))
np.save(os.path.join(SETS, "grey.npy"), np.ascontiguousarray(images(4, 5, 6)[:, 0]))
np.save(os.path.join(SETS, "two_channels.npy"), np.ascontiguousarray(images(4, 5, 6)[:, :2]))
np.save(os.path.join(SETS, "float.npy"), images(4, 5, 6).astype(np.float32))
np.save(os.path.join(SETS, "labels.npy"), (3 * np.arange(4) % 10).astype(np.int64))
np.save(os.path.join(SETS, "labels_u8.npy"), (3 * np.arange(4) % 10).astype(np.uint8))
np.save(os.path.join(SETS, "labels_short.npy"), np.arange(3, dtype=np.int64))
np.save(os.path.join(SETS, "labels_negative.npy"), np.array([0, 1, -1, 2], dtype=np.int64))
write_resize()
