#!/usr/bin/python3
"""Tiny image sets written by NumPy, and images resized by PIL and torchvision.

sets/cifar10/*.bin (2 records a file), sets/cifar100/*.bin (3), sets/*.npy; pixel
(i, c, y, x) = (37 i + 101 c + 7 y + 3 x) mod 256, labels (3 i) mod 10.
resize.bin: int32 height, width, cases; uint8 source (3, h, w); each case int32 side
and cut, then with s = cut or else side uint8 (3, s, s) and, on the 0..1 scale,
float32 (3, s, s). cut 0: PIL, the whole image to side x side; else torchvision's
Resize(side) and CenterCrop(cut).
identity.txt: the twelve images of sets/cifar10 (split all) in the order of seed 5, and
the fingerprint of that set as stored and at 16 x 16 pixels.
"""
import hashlib
import os
import struct
import sys

import numpy as np
import torch
from PIL import Image
from torchvision.transforms import functional

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


def pil_square(source, size):
    """Each plane to size x size: bytes as bytes, and on the 0..1 scale as floats."""
    planes = [Image.fromarray(plane).resize((size, size), Image.BILINEAR) for plane in source]
    unit = [Image.fromarray(plane.astype(np.float32) / 255).resize((size, size), Image.BILINEAR) for plane in source]
    return np.stack(planes), np.stack(unit)


def center(source, side, cut):
    """torchvision's Resize(side) and CenterCrop(cut)."""
    def both(x):
        small = functional.resize(x, [side], functional.InterpolationMode.BILINEAR, antialias=True)
        return functional.center_crop(small, [cut, cut]).numpy()
    unit = both(torch.from_numpy(source.astype(np.float32) / 255))
    return np.floor(unit * 255 + 0.5).astype(np.uint8), unit.astype(np.float32)


def write_resize():
    rng = np.random.default_rng(5)
    source = rng.integers(0, 256, (3, 20, 12), dtype=np.uint8)
    cases = [(size, 0) for size in (1, 4, 7, 12, 16, 20, 31)] + [(12, 12), (8, 8), (9, 7), (9, 4), (17, 16)]
    with open(os.path.join(HERE, "resize.bin"), "wb") as out:
        out.write(struct.pack("<3i", 20, 12, len(cases)) + source.tobytes())
        for side, cut in cases:
            pixels, unit = pil_square(source, side) if cut == 0 else center(source, side, cut)
            out.write(struct.pack("<2i", side, cut) + pixels.tobytes() + unit.tobytes())


def runs(order):
    """Stretches of neighbours within a file of two images: [file, first, count]."""
    found = []
    for i in order:
        if found and found[-1][0] == i // 2 and found[-1][1] + found[-1][2] == i % 2:
            found[-1][2] += 1
        else:
            found.append([i // 2, i % 2, 1])
    return found


def fingerprint(files, order, size):
    words = b"dinf data set 1\0" + struct.pack("<3Q", 3, size, size)
    words += b"" if size == 32 else b"antialiased bilinear\0"
    for which, begin, count in runs(order):
        with open(files[which], "rb") as f:
            words += hashlib.sha256(f.read()).hexdigest().encode() + b"\0\0" + struct.pack("<2Q", begin, count)
    return hashlib.sha256(words).hexdigest()


def write_identity():
    sys.path.insert(0, os.path.join(HERE, "..", "stats"))
    from make_golden import Draws  # the random choices, written a second time

    subset_stream = 4
    order = Draws(5, subset_stream, 0).permutation(12)
    files = [os.path.join(SETS, "cifar10", f"{name}.bin") for name in
             [f"data_batch_{k}" for k in range(1, 6)] + ["test_batch"]]
    with open(os.path.join(HERE, "identity.txt"), "w") as out:
        print(*order, fingerprint(files, order, 32), fingerprint(files, order, 16), sep="\n", file=out)


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
np.save(os.path.join(SETS, "labels_below.npy"), np.array([0, 1, -2, 2], dtype=">i2"))
np.save(os.path.join(SETS, "chw_int32.npy"), np.asfortranarray(images(4, 5, 6).astype(np.int32)))
np.save(os.path.join(SETS, "beyond.npy"), images(4, 5, 6).astype(np.uint16) + np.uint16(1))
write_resize()
write_identity()
