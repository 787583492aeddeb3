#!/usr/bin/env python3
"""The PyTorch side of train_step.py: networks, augmentation and loss as dinf has them,
from plain tensor operations (torchvision may be missing where the GPU is).

    simclr_torch.py      checks the pieces: InfoNCE against stored values, the augmentation
                         against torchvision or its definition, channels of the networks"""
import math
import os
import sys

import torch
from torch import nn
from torch.nn import functional as F

DEPTHS = {"resnet8": (1, 1, 1), "resnet10": (1, 1, 1, 1), "resnet12": (2, 1, 1, 1), "resnet14": (2, 2, 1, 1),
          "resnet16": (2, 2, 2, 1), "resnet18": (2, 2, 2, 2), "resnet34": (3, 4, 6, 3)}
MEAN, STD = 0.5, 0.25
GREY = (0.2989, 0.587, 0.114)


class Block(nn.Module):
    def __init__(self, c_in, c_out, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(c_in, c_out, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(c_out)
        self.conv2 = nn.Conv2d(c_out, c_out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(c_out)
        self.down = None
        if stride != 1 or c_in != c_out:
            self.down = nn.Sequential(nn.Conv2d(c_in, c_out, 1, stride, bias=False), nn.BatchNorm2d(c_out))

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)), inplace=True)
        y = self.bn2(self.conv2(y))
        return F.relu(y + (x if self.down is None else self.down(x)), inplace=True)


class Encoder(nn.Module):
    """A ResNet of basic blocks with the CIFAR stem, and the projector Linear-ReLU-Linear."""

    def __init__(self, arch, width=1.0, projector_dim=128):
        super().__init__()
        c = round(64 * width)
        layers = [nn.Conv2d(3, c, 3, 1, 1, bias=False), nn.BatchNorm2d(c), nn.ReLU(inplace=True)]
        for stage, depth in enumerate(DEPTHS[arch]):
            planes = round((64 << stage) * width)
            for i in range(depth):
                layers.append(Block(c, planes, 2 if stage > 0 and i == 0 else 1))
                c = planes
        self.encoder = nn.Sequential(*layers)
        self.projector = nn.Sequential(nn.Linear(c, c), nn.ReLU(inplace=True), nn.Linear(c, projector_dim))
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                nn.init.kaiming_normal_(m.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x):
        return self.projector(self.encoder(x).mean((2, 3)))


def info_nce(z, temperature=0.2):
    """Rows i and i + n of z are the views of image i; every row is contrasted with all others."""
    z = F.normalize(z.float())
    n = z.shape[0]
    logits = z @ z.T / temperature
    logits = logits.masked_fill(torch.eye(n, dtype=torch.bool, device=z.device), float("-inf"))
    return F.cross_entropy(logits, torch.arange(n, device=z.device).roll(n // 2))


# ---- augmentation: one batch of views at a time, every view with draws of its own


def draw_crop(n, h, w, low, high, device):
    """(n, 4) of y, x, height, width: ten attempts at an area and an aspect, then the centre."""
    attempts = 10
    area = h * w * torch.empty(n, attempts, device=device).uniform_(low, high)
    aspect = torch.empty(n, attempts, device=device).uniform_(-math.log(4 / 3), math.log(4 / 3)).exp()
    cw, ch = (area * aspect).sqrt().round(), (area / aspect).sqrt().round()
    good = (cw >= 1) & (cw <= w) & (ch >= 1) & (ch <= h)
    first = good.float().argmax(1, keepdim=True)
    found = good.gather(1, first).squeeze(1)
    cw, ch = cw.gather(1, first).squeeze(1), ch.gather(1, first).squeeze(1)
    side_h, side_w = float(min(h, round(w / 0.75))), float(min(w, round(h / 0.75)))
    cw, ch = torch.where(found, cw, side_w * torch.ones_like(cw)), torch.where(found, ch, side_h * torch.ones_like(ch))
    y = torch.where(found, (torch.rand(n, device=device) * (h - ch + 1)).floor(), ((h - ch) / 2).floor())
    x = torch.where(found, (torch.rand(n, device=device) * (w - cw + 1)).floor(), ((w - cw) / 2).floor())
    return torch.stack([y, x, ch, cw], 1)


def crop_resize(x, crop, flip, size):
    """Bilinear with half-pixel centres, clamped to the crop's own pixels; flip: (n) bool."""
    h, w = x.shape[2:]
    at = (torch.arange(size, device=x.device) + 0.5) / size
    at_x = torch.where(flip[:, None], 1 - at, at)
    y0, x0, ch, cw = (crop[:, i, None] for i in range(4))
    py = torch.minimum(torch.maximum(y0 + at * ch, y0 + 0.5), y0 + ch - 0.5)
    px = torch.minimum(torch.maximum(x0 + at_x * cw, x0 + 0.5), x0 + cw - 0.5)
    n = x.shape[0]
    grid = torch.stack([(2 * px / w - 1)[:, None, :].expand(n, size, size),
                        (2 * py / h - 1)[:, :, None].expand(n, size, size)], 3)
    return F.grid_sample(x, grid, mode="bilinear", padding_mode="border", align_corners=False)


def grey_of(x):
    return (GREY[0] * x[:, 0] + GREY[1] * x[:, 1] + GREY[2] * x[:, 2])[:, None]


def blend(x, other, factor):
    return (factor * x + (1 - factor) * other).clamp(0, 1)


def turn_hue(x, turns):
    """turns (n, 1, 1): as RGB -> HSV -> RGB does, without going there."""
    r, g, b = x.unbind(1)
    top, low = x.amax(1), x.amin(1)
    chroma = top - low
    inverse = 1 / torch.where(chroma > 0, chroma, torch.ones_like(chroma))
    sixths = torch.where(top == r, (g - b) * inverse,
                         torch.where(top == g, 2 + (b - r) * inverse, 4 + (r - g) * inverse)) + 6 * turns
    out = []
    for c in range(3):
        k = torch.remainder(sixths + (5 - 2 * c), 6)
        out.append(top - chroma * torch.minimum(k, 4 - k).clamp(0, 1))
    return torch.stack(out, 1)


def blur(x, sigma):
    """Separable Gaussian, edges reflected and not repeated; sigma (n)."""
    size = min(x.shape[2:])
    radius = 1 if size < 40 else size // 20
    offset = torch.arange(-radius, radius + 1, device=x.device)
    weight = torch.exp(-0.5 * (offset[None] / sigma[:, None]) ** 2)
    weight = (weight / weight.sum(1, keepdim=True))[:, :, None, None, None]
    h, w = x.shape[2:]
    padded = F.pad(x, (radius, radius, 0, 0), mode="reflect")
    x = sum(weight[:, i] * padded[:, :, :, i:i + w] for i in range(2 * radius + 1))
    padded = F.pad(x, (0, 0, radius, radius), mode="reflect")
    return sum(weight[:, i] * padded[:, :, i:i + h] for i in range(2 * radius + 1))


def simclr_views(pixels, size):
    """One view of every image, uint8 (n, c, h, w) -> normalised float. The jitter's four steps
    in one order for the batch, where dinf draws an order for every view: a favour to this side."""
    n, _, h, w = pixels.shape
    device = pixels.device

    def chance(p):
        return torch.rand(n, device=device) < p

    def factor(strength):
        f = torch.empty(n, device=device).uniform_(max(0.0, 1 - strength), 1 + strength)
        return torch.where(jitter, f, torch.ones_like(f))[:, None, None, None]

    jitter = chance(0.8)
    x = crop_resize(pixels.float() / 255, draw_crop(n, h, w, 0.08, 1.0, device), chance(0.5), size)
    x = blend(x, torch.zeros_like(x), factor(0.8))
    x = blend(x, grey_of(x).mean((1, 2, 3), keepdim=True), factor(0.8))
    x = blend(x, grey_of(x), factor(0.8))
    turns = torch.empty(n, device=device).uniform_(-0.2, 0.2)
    x = turn_hue(x, torch.where(jitter, turns, torch.zeros_like(turns))[:, None, None])
    x = torch.where(chance(0.2)[:, None, None, None], grey_of(x).expand_as(x), x)
    x = blur(x, torch.empty(n, device=device).uniform_(0.1, 2.0))
    return (x - MEAN) / STD


# ---- checks


def check():
    torch.manual_seed(0)
    failures = []

    def near(name, have, want, tolerance):
        worst = (have.double() - want.double()).abs().max().item()
        print(f"{name:<44}{worst:10.1e}{'' if worst <= tolerance else '  TOO FAR'}")
        if not worst <= tolerance:
            failures.append(name)

    # InfoNCE by its definition
    n, d, t = 5, 7, 0.2
    z = torch.randn(2 * n, d, dtype=torch.float64)
    f = z / z.norm(dim=1, keepdim=True)
    total = 0.0
    for i in range(2 * n):
        weights = [math.exp(float(f[i] @ f[j]) / t) for j in range(2 * n) if j != i]
        total -= math.log(math.exp(float(f[i] @ f[(i + n) % (2 * n)]) / t) / sum(weights))
    near("InfoNCE by its definition", info_nce(z, t), torch.tensor(total / (2 * n)), 1e-5)

    # and dinf's stored value, on the same numbers
    stored = stored_loss()
    if stored is not None:
        have, want = stored
        near("InfoNCE, the value dinf is tested against", have, want, 4e-6)

    x = torch.rand(6, 3, 20, 20)
    crop = torch.tensor([[0, 0, 20, 20], [3, 4, 10, 9], [1, 0, 5, 20], [7, 7, 1, 1], [0, 10, 20, 10],
                         [2, 2, 8, 16]]).float()
    flip = torch.tensor([False, True, False, True, True, False])
    have = crop_resize(x, crop, flip, 12)
    want = []
    for i in range(6):
        y0, x0, h, w = (int(v) for v in crop[i])
        one = F.interpolate(x[i:i + 1, :, y0:y0 + h, x0:x0 + w], (12, 12), mode="bilinear", align_corners=False)
        want.append(one.flip(3) if flip[i] else one)
    near("crop, resize, flip: by F.interpolate", have, torch.cat(want), 1e-5)

    crops = draw_crop(20000, 32, 32, 0.08, 1.0, "cpu")
    share = crops[:, 2] * crops[:, 3] / 1024
    inside = (crops[:, :2] >= 0).all() and (crops[:, :2] + crops[:, 2:] <= 32).all()
    if not inside or not 0.05 < share.min() < 0.1 or not 0.48 < share.mean() < 0.56:
        failures.append("draws of the crop")
    print(f"{'crops: inside, mean share of the image':<44}{share.mean().item():10.3f}")

    turns = torch.tensor([0.0, 0.1, -0.2, 0.2, 0.05, -0.1])
    want = torch.stack([by_colorsys(x[i], float(turns[i])) for i in range(6)])
    near("hue: by colorsys", turn_hue(x, turns[:, None, None]), want, 1e-5)

    sigma = torch.tensor([0.1, 0.5, 1.0, 1.5, 2.0, 0.7])
    want = []
    for i in range(6):
        k = torch.exp(-0.5 * (torch.arange(-1, 2) / sigma[i]) ** 2)
        k = torch.outer(k, k) / k.sum() ** 2
        want.append(F.conv2d(F.pad(x[i][:, None], (1, 1, 1, 1), mode="reflect"), k[None, None])[:, 0])
    near("blur: by conv2d", blur(x, sigma), torch.stack(want), 1e-6)

    try:
        import torchvision.transforms.functional as T
        near("grey: torchvision", grey_of(x), T.rgb_to_grayscale(x), 1e-6)
        near("hue: torchvision", turn_hue(x, torch.full((6, 1, 1), 0.15)), T.adjust_hue(x, 0.15), 1e-5)
        near("saturation: torchvision", blend(x, grey_of(x), 1.4), T.adjust_saturation(x, 1.4), 1e-6)
        near("contrast: torchvision", blend(x, grey_of(x).mean((1, 2, 3), keepdim=True), 0.6),
             T.adjust_contrast(x, 0.6), 1e-6)
        near("blur: torchvision", blur(x, torch.full((6,), 0.8)), T.gaussian_blur(x, [3, 3], [0.8, 0.8]), 1e-6)
    except ImportError:
        print("torchvision is not installed: not compared with it")

    views = simclr_views(torch.randint(0, 256, (64, 3, 16, 16), dtype=torch.uint8), 16)
    if views.shape != (64, 3, 16, 16) or not torch.isfinite(views).all() or views.min() < -2.01 or views.max() > 2.01:
        failures.append("views")
    # torchvision's resnet18 and resnet34 without their last layer, with the CIFAR stem
    for arch, parameters in (("resnet18", 11168832), ("resnet34", 21276992)):
        have = sum(p.numel() for p in Encoder(arch).encoder.parameters())
        print(f"{arch + ' parameters':<44}{have:10d}")
        if have != parameters:
            failures.append(arch)
    if failures:
        sys.exit(f"FAILED: {', '.join(failures)}")
    print("all good")


def by_colorsys(image, turns):
    import colorsys
    out = torch.empty_like(image)
    for y in range(image.shape[1]):
        for x in range(image.shape[2]):
            h, s, v = colorsys.rgb_to_hsv(*image[:, y, x].tolist())
            out[:, y, x] = torch.tensor(colorsys.hsv_to_rgb((h + turns) % 1.0, s, v))
    return out


def stored_loss():
    """InfoNCE of z[i] = noise(i, "z"), 3 images in two views of 5 numbers (tests/golden/nn)."""
    import json
    import struct
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "golden", "nn", "golden.safetensors")
    if not os.path.exists(path):
        return None
    with open(path, "rb") as f:
        raw = f.read()
    size, = struct.unpack("<Q", raw[:8])
    entry = json.loads(raw[8:8 + size])["loss.infonce.self.value"]
    kind = {"F32": "<f", "F64": "<d"}[entry["dtype"]]
    value, = struct.unpack_from(kind, raw, 8 + size + entry["data_offsets"][0])

    def mix(v):
        v = (v ^ (v >> 16)) * 0x85EBCA6B & 0xFFFFFFFF
        v = (v ^ (v >> 13)) * 0xC2B2AE35 & 0xFFFFFFFF
        return v ^ (v >> 16)

    z = torch.tensor([mix(i + 65536 * ord("z") & 0xFFFFFFFF) / 2147483648.0 - 1 for i in range(30)]).reshape(6, 5)
    return info_nce(z, 0.2), torch.tensor(value)


if __name__ == "__main__":
    check()
