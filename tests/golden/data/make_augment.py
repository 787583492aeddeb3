#!/usr/bin/python3
"""Golden values of the augmentation from torchvision's functional operations.

Writes augment.bin beside this script (little-endian):
  int32 source height, width, number of cases; uint8 source (3, height, width)
  each case: int32 target h, w; float32 crop x, y, w, h; int32 flip, jitter,
  grey, blur; int32 order[4]; float32 factor[4], sigma, mean[3], std[3];
  float32 expected (3, h, w)
and augment_draws.txt: means and standard errors of RandomResizedCrop's draws.
"""
import os
import struct

import numpy as np
import torch
import torchvision.transforms as transforms
import torchvision.transforms.functional as functional

HERE = os.path.dirname(os.path.abspath(__file__))
BRIGHTNESS, CONTRAST, SATURATION, HUE = range(4)
IDENTITY = [1.0, 1.0, 1.0, 0.0]


def blur_kernel(h, w):
    radius = max(1, int(0.1 * min(h, w)) // 2)
    return 2 * radius + 1


def expected(source, case):
    x, y, w, h = case["crop"]
    size = case["size"]
    image = torch.from_numpy(source).float() / 255
    image = functional.resized_crop(image, y, x, h, w, list(size),
                                    functional.InterpolationMode.BILINEAR)
    if case["flip"]:
        image = functional.hflip(image)
    if case["jitter"]:
        for kind in case["order"]:
            factor = case["factor"][kind]
            image = (functional.adjust_brightness, functional.adjust_contrast, functional.adjust_saturation,
                     functional.adjust_hue)[kind](image, factor)
    if case["grey"]:
        image = functional.rgb_to_grayscale(image, 3)
    if case["blur"]:
        image = functional.gaussian_blur(image, [blur_kernel(*size)] * 2, [case["sigma"]] * 2)
    return functional.normalize(image, case["mean"], case["std"]).numpy()


def base(h, w):
    return {"size": (h, w), "crop": (0, 0, w, h), "flip": 0, "jitter": 0, "grey": 0, "blur": 0,
            "order": [0, 1, 2, 3], "factor": list(IDENTITY), "sigma": 1.0, "mean": [0.0] * 3, "std": [1.0] * 3}


def one_factor(case, kind, value):
    case["jitter"] = 1
    case["factor"][kind] = value
    return case


def cases(rng, height, width):
    yield base(height, width)
    for size in ((16, 16), (32, 32), (9, 31), (47, 40)):
        yield {**base(height, width), "size": size}
    yield {**base(height, width), "crop": (3, 2, 11, 7), "size": (16, 16)}
    yield {**base(height, width), "crop": (23, 19, 1, 1), "size": (4, 4)}
    yield {**base(height, width), "crop": (3, 2, 11, 7), "size": (16, 16), "flip": 1}
    for kind, values in ((BRIGHTNESS, (0.3, 1.7)), (CONTRAST, (0.2, 1.8)), (SATURATION, (0.0, 1.8)),
                         (HUE, (-0.5, -0.2, 0.07, 0.5))):
        for value in values:
            yield one_factor(base(height, width), kind, value)
    yield {**base(height, width), "grey": 1}
    for sigma in (0.1, 0.7, 2.0):
        yield {**base(height, width), "blur": 1, "sigma": sigma}
    yield {**base(height, width), "size": (44, 60), "blur": 1, "sigma": 1.3}
    yield {**base(height, width), "mean": [0.4, 0.5, 0.6], "std": [0.2, 0.25, 0.3]}
    for k in range(16):
        w, h = int(rng.integers(4, width + 1)), int(rng.integers(4, height + 1))
        side = 32 if k % 4 == 3 else 16
        x, y = int(rng.integers(0, width - w + 1)), int(rng.integers(0, height - h + 1))
        yield {"size": (side, side), "crop": (x, y, w, h), "flip": int(rng.integers(2)), "jitter": 1,
               "grey": int(rng.integers(4) == 0), "blur": int(rng.integers(2)),
               "order": [int(i) for i in rng.permutation(4)],
               "factor": [float(f) for f in rng.uniform(0.2, 1.8, 3)] + [float(rng.uniform(-0.2, 0.2))],
               "sigma": float(rng.uniform(0.1, 2)), "mean": [0.49, 0.48, 0.45], "std": [0.25, 0.24, 0.26]}


def write_cases():
    rng = np.random.default_rng(7)
    height, width = 20, 24
    source = rng.integers(0, 256, (3, height, width), dtype=np.uint8)
    source[:, 2:5, 3:9] = 77  # equal channels: no hue
    source[:, 10:13, 3:9] = np.array([255, 0, 0], np.uint8)[:, None, None]
    every = list(cases(rng, height, width))
    with open(os.path.join(HERE, "augment.bin"), "wb") as out:
        out.write(struct.pack("<3i", height, width, len(every)) + source.tobytes())
        for case in every:
            out.write(struct.pack("<2i4f4i", *case["size"], *case["crop"], case["flip"], case["jitter"], case["grey"],
                                  case["blur"]))
            out.write(struct.pack("<4i4ff3f3f", *case["order"], *case["factor"], case["sigma"], *case["mean"],
                                  *case["std"]))
            out.write(np.ascontiguousarray(expected(source, case), dtype="<f4").tobytes())


def write_draws():
    torch.manual_seed(3)
    with open(os.path.join(HERE, "augment_draws.txt"), "w") as out:
        for h, w, low, high in ((32, 32, 0.08, 1.0), (16, 16, 0.8, 1.0), (24, 40, 0.3, 0.9)):
            image = torch.zeros(3, h, w)
            n = 20000
            draws = np.array([transforms.RandomResizedCrop.get_params(image, (low, high), (3 / 4, 4 / 3))
                              for _ in range(n)], dtype=float)
            top, left, ch, cw = draws.T
            values = (ch * cw / (h * w), cw / ch, top, left, ch, cw)
            out.write(f"{h} {w} {low} {high}")
            for v in values:
                out.write(f" {v.mean():.6f} {v.std() / n ** 0.5:.6f}")
            out.write("\n")


write_cases()
write_draws()
