#!/usr/bin/python3
"""Compares `dinf embed` with torchvision's randomly initialised ResNets.

    check_torchvision.py DINF [DEVICE]

Representations must agree within 1e-4 of their largest magnitude. Running statistics are first
moved off their initial 0 and 1 by a few batches in training mode. Exit 77 without torchvision."""
import os
import subprocess
import sys
import tempfile

try:
    import numpy as np
    import torch
    import torchvision
except ImportError as e:
    print(f"SKIP: {e}")
    sys.exit(77)

from resnet_torch import write_safetensors

TOLERANCE = 1e-4
MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


def model_of(arch, stem):
    model = getattr(torchvision.models, arch)(weights=None)
    if stem == "cifar":
        model.conv1 = torch.nn.Conv2d(3, 64, 3, 1, 1, bias=False)
        torch.nn.init.kaiming_normal_(model.conv1.weight, mode="fan_out", nonlinearity="relu")
        model.maxpool = torch.nn.Identity()
    return model


def compare(dinf, device, arch, stem, size, n, folder):
    torch.manual_seed(0)
    pixels = np.random.default_rng(0).integers(0, 256, (n, 3, size, size), dtype=np.uint8)
    x = (torch.tensor(pixels).float() / 255 - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]
    model = model_of(arch, stem)
    with torch.no_grad():
        for _ in range(3):
            model.train()(x)
        model.eval()
        state = {k: v.numpy().copy() for k, v in model.state_dict().items()}
        model.fc = torch.nn.Identity()
        want = model.double()(x.double()).numpy()
    weights, images, out = (os.path.join(folder, name) for name in ("w.safetensors", "x.npy", "r.npy"))
    write_safetensors(weights, state)
    worst = 0.0
    for plain in (False, True):  # uint8 images normalised by dinf, and float images taken as they are
        np.save(images, x.numpy() if plain else pixels)
        command = [dinf, "embed", "--weights", weights, "--arch", arch, "--stem", stem, "--images", images,
                   "--out", out, "--device", device]
        if not plain and stem == "cifar":  # without, it is the same: ImageNet's
            command += ["--mean", ",".join(map(str, MEAN)), "--std", ",".join(map(str, STD))]
        subprocess.run(command, check=True)
        have = np.load(out)
        assert have.shape == want.shape, (have.shape, want.shape)
        worst = max(worst, float(np.abs(have - want).max() / np.abs(want).max()))
    print(f"{arch} {stem} {size}x{size}: largest difference {worst:.1e} of the largest value")
    return worst < TOLERANCE


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    dinf, device = os.path.abspath(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else "auto"
    with tempfile.TemporaryDirectory() as folder:
        cases = [("resnet18", "cifar", 32, 5), ("resnet18", "imagenet", 96, 5), ("resnet50", "cifar", 32, 3),
                 ("resnet50", "imagenet", 96, 3)]
        good = [compare(dinf, device, *case, folder) for case in cases]
    print(f"torchvision {torchvision.__version__}, PyTorch {torch.__version__}")
    sys.exit(0 if all(good) else 1)


main()
