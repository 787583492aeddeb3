#!/usr/bin/python3
"""Writes scikit-learn's 1,797 handwritten digits (8 x 8, part of the package, no
download) into OUT_FOLDER in the CIFAR-10 binary form: enlarged to 32 x 32, grey
in all three channels. Every sixth image of a seeded order is for testing
(test_batch.bin), the rest fills data_batch_1.bin to data_batch_5.bin.

usage: analysis/digits.py OUT_FOLDER
"""
import argparse
import os

import numpy as np
from sklearn.datasets import load_digits


def enlarge(images, size):
    """Bilinear, half-pixel centres, (n, 8, 8) of 0..16 -> (n, size, size) of 0..255."""
    at = np.clip((np.arange(size) + 0.5) * images.shape[1] / size - 0.5, 0, images.shape[1] - 1)
    low = np.minimum(at.astype(int), images.shape[1] - 2)
    t = at - low
    rows = images[:, low] * (1 - t)[:, None] + images[:, low + 1] * t[:, None]
    both = rows[:, :, low] * (1 - t) + rows[:, :, low + 1] * t
    return np.floor(both * (255 / 16) + 0.5).astype(np.uint8)


def write(path, images, labels):
    records = np.concatenate([labels[:, None].astype(np.uint8),
                              np.repeat(images.reshape(len(images), 1, -1), 3, 1).reshape(len(images), -1)], 1)
    temporary = path + ".tmp"
    with open(temporary, "wb") as out:
        out.write(records.tobytes())
    os.replace(temporary, path)


def main():
    parser = argparse.ArgumentParser(description="scikit-learn's digits as CIFAR-10 binary files")
    parser.add_argument("folder")
    folder = parser.parse_args().folder
    digits = load_digits()
    images, labels = enlarge(digits.images, 32), digits.target
    order = np.random.RandomState(0).permutation(len(images))
    test, train = order[::6], np.delete(order, slice(None, None, 6))
    os.makedirs(folder, exist_ok=True)
    for k, part in enumerate(np.array_split(train, 5), 1):
        write(os.path.join(folder, f"data_batch_{k}.bin"), images[part], labels[part])
    write(os.path.join(folder, "test_batch.bin"), images[test], labels[test])
    print(f"{folder}: {len(train)} training and {len(test)} test images of 10 digits")


if __name__ == "__main__":
    main()
