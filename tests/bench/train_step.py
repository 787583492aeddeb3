#!/usr/bin/env python3
"""The training step of `dinf bench train` in PyTorch: forward, InfoNCE, backward, Adam.

    train_step.py [--arch resnet18] [--width 1] [--stem cifar] [--size 32] [--batch 64] [--threads 2]
                  [--steps 5] [--warmup 2] [--augment] [--dinf DINF]

Prints one JSON object. Batch counts images, two views each, as in dinf. Without --augment the views are
made beforehand (a favour to PyTorch). With --dinf the same step is measured there, right before and right
after, and the ratio of the better figures is added."""
import argparse
import json
import os
import subprocess
import sys
import time

import torch

try:
    import torchvision.models.resnet as tv
except ImportError:
    tv = None

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "golden", "nn"))


def augmentation(size):
    import torchvision.transforms as T
    kernel = max(3, int(0.1 * size) // 2 * 2 + 1)
    one = T.Compose([T.RandomResizedCrop(size), T.RandomHorizontalFlip(),
                     T.RandomApply([T.ColorJitter(0.8, 0.8, 0.8, 0.2)], p=0.8), T.RandomGrayscale(0.2),
                     T.GaussianBlur(kernel, (0.1, 2.0)), T.ConvertImageDtype(torch.float32)])
    return lambda pixels: torch.stack([one(p) for p in pixels])


def info_nce(z, temperature):
    n = len(z) // 2
    f = torch.nn.functional.normalize(z)
    logits = f @ f.T / temperature
    logits = logits.masked_fill(torch.eye(2 * n, dtype=torch.bool), float("-inf"))
    return torch.nn.functional.cross_entropy(logits, (torch.arange(2 * n) + n) % (2 * n))


def measure_torch(a):
    from resnet_torch import Encoder
    torch.set_num_threads(a.threads)
    torch.manual_seed(0)
    model = Encoder(a.arch, a.stem, a.width, 128).train()
    if a.channels_last:
        model = model.to(memory_format=torch.channels_last)
    opt = torch.optim.Adam(model.parameters(), lr=3e-4, weight_decay=1e-4)
    pixels = torch.randint(0, 256, (a.batch, 3, a.size, a.size), dtype=torch.uint8)
    views = torch.cat([pixels, pixels]).float() / 255
    augment = augmentation(a.size) if a.augment else None
    for step in range(a.warmup + a.steps):
        if step == a.warmup:
            begin = time.perf_counter()
        if augment:
            views = torch.cat([augment(pixels), augment(pixels)])
        x = views.to(memory_format=torch.channels_last) if a.channels_last else views
        loss = info_nce(model(x), 0.2)
        opt.zero_grad()
        loss.backward()
        opt.step()
        loss.item()
    seconds = (time.perf_counter() - begin) / a.steps
    return {"images_per_second": 2 * a.batch / seconds, "seconds_per_step": seconds, "loss": loss.item()}


def measure_dinf(a):
    command = [a.dinf, "bench", "train", "--json", "--arch", a.arch, "--stem", a.stem, "--width", str(a.width),
               "--size", str(a.size), "--batch", str(a.batch), "--threads", str(a.threads), "--steps", str(a.steps),
               "--warmup", str(a.warmup)] + ([] if a.augment else ["--augment", "none"])
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--arch", default="resnet18")
    p.add_argument("--stem", default="cifar")
    p.add_argument("--width", type=float, default=1)
    p.add_argument("--size", type=int, default=32)
    p.add_argument("--batch", type=int, default=64)
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--steps", type=int, default=5)
    p.add_argument("--warmup", type=int, default=2)
    p.add_argument("--augment", action="store_true", help="augment in every step")
    p.add_argument("--channels-last", action="store_true", help="PyTorch's other memory format")
    p.add_argument("--dinf", help="measure this binary as well")
    a = p.parse_args()
    if tv is None:
        sys.exit("torchvision is needed for its blocks")
    out = {key: getattr(a, key) for key in ("arch", "stem", "width", "size", "batch", "threads", "augment")}
    before = measure_dinf(a) if a.dinf else None
    out["torch"] = dict(measure_torch(a), version=torch.__version__)
    if a.dinf:
        out["dinf"] = max(before, measure_dinf(a), key=lambda m: m["images_per_second"])
        out["ratio"] = out["dinf"]["images_per_second"] / out["torch"]["images_per_second"]
    print(json.dumps(out))


main()
