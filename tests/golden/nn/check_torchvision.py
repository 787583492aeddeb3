#!/usr/bin/python3
"""Compares `dinf embed` with torchvision's randomly initialised ResNets and its Resize and CenterCrop.

    check_torchvision.py DINF [DEVICE]

Representations must agree within 1e-4 of their largest magnitude, those of resized float images within 1e-5. Running statistics are first
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


def network(arch, stem, x):
    """The state and the encoder in double precision."""
    torch.manual_seed(0)
    model = model_of(arch, stem)
    with torch.no_grad():
        for _ in range(3):
            model.train()(x)
        model.eval()
        state = {k: v.numpy().copy() for k, v in model.state_dict().items()}
    model.fc = torch.nn.Identity()
    return state, model.double()


def normalised(pixels):
    return (pixels.float() / 255 - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]


def resized(dinf, device, shape, size, crop, folder):
    """Bytes and floats of one image, resized and cut by torchvision and by dinf, channels first and last."""
    pixels = torch.tensor(np.random.default_rng(1).integers(0, 256, (3, 3, *shape), dtype=np.uint8))
    steps = [torchvision.transforms.Resize(size if crop else (size, size), antialias=True)] if size else []
    steps += [torchvision.transforms.CenterCrop(crop)] if crop else []
    cut = torch.nn.Sequential(*steps)
    state, model = network("resnet18", "cifar", normalised(cut(pixels)))
    weights, images, out = (os.path.join(folder, name) for name in ("w.safetensors", "x.npy", "r.npy"))
    write_safetensors(weights, state)
    good = True
    floats = normalised(pixels)
    # where a resized byte lies midway between two, torchvision rounds to even
    for name, x, want, tolerance in (("floats", floats, cut(floats), 1e-5),
                                     ("bytes", pixels, normalised(cut(pixels)), 1e-2 if size else 1e-4)):
        with torch.no_grad():
            want = model(want.double()).numpy()
        for given in (x.numpy(), x.numpy().transpose(0, 2, 3, 1)) if crop == 32 else (x.numpy(),):  # which is in no order
            np.save(images, given)
            subprocess.run([dinf, "embed", "--weights", weights, "--arch", "resnet18", "--images", images, "--out", out,
                            "--device", device, "--size", str(size), "--crop", str(crop)], check=True,
                           stdout=subprocess.DEVNULL)
            worst = float(np.abs(np.load(out) - want).max() / np.abs(want).max())
            good = good and worst < tolerance
        print(f"{name} {shape[0]}x{shape[1]}, size {size}, crop {crop}: largest difference {worst:.1e} of the largest")
    return good


def compare(dinf, device, arch, stem, size, n, folder):
    pixels = np.random.default_rng(0).integers(0, 256, (n, 3, size, size), dtype=np.uint8)
    x = normalised(torch.tensor(pixels))
    state, model = network(arch, stem, x)
    with torch.no_grad():
        want = model(x.double()).numpy()
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
        good += [resized(dinf, device, *case, folder) for case in
                 (((48, 64), 40, 32), ((65, 47), 36, 31), ((30, 41), 44, 32), ((64, 48), 0, 33), ((48, 48), 32, 0),
                  ((20, 20), 32, 0))]
    print(f"torchvision {torchvision.__version__}, PyTorch {torch.__version__}")
    sys.exit(0 if all(good) else 1)


main()
