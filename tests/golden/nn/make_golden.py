#!/usr/bin/python3
"""Golden values of networks, losses and training steps by PyTorch in double precision.

Writes golden.safetensors beside itself. Weights, images and answers follow the
formulas below, which tests/unit/nn/fixtures.h repeats, so that only results are stored."""
import os

import numpy as np
import torch

from resnet_torch import Encoder, write_safetensors

torch.set_default_dtype(torch.float64)
OUT = {}


def mix(x):
    """The finaliser of MurmurHash3, on uint32."""
    x = x.astype(np.uint64)
    for shift, factor in [(16, 0x85EBCA6B), (13, 0xC2B2AE35)]:
        x = (x ^ (x >> shift)) * factor & 0xFFFFFFFF
    return x ^ (x >> 16)


def noise(n, name):
    """n values in [-1, 1), float32, from their index and the sum of the name's bytes."""
    return (mix(np.arange(n) + 65536 * sum(name.encode())) / 2.0**31 - 1).astype(np.float32)


def fill(model):
    for name, t in model.state_dict().items():
        if name.endswith("num_batches_tracked"):
            continue
        w = torch.tensor(noise(t.numel(), name).astype(np.float64)).reshape(t.shape)
        if name.endswith("running_var"):
            w = 1 + 0.5 * w
        elif t.dim() > 1:
            w = w * np.sqrt(2.0 / (t.numel() / t.shape[0]))
        elif name.endswith("weight"):
            w = 1 + 0.2 * w
        else:
            w = 0.1 * w
        t.copy_(w.to(torch.float32).to(torch.float64))


def images(n, size):
    return (mix(np.arange(n * 3 * size * size)) >> 24).astype(np.uint8).reshape(n, 3, size, size)


def normalised(pixels):
    x = pixels.astype(np.float64) / 255
    mean, std = x.mean((0, 2, 3)), x.std((0, 2, 3))
    return torch.tensor((x - mean[:, None, None]) / std[:, None, None])


def info_nce(z, partner, group, temperature):
    """-log softmax at the positive, rows of the same group left out."""
    f = torch.nn.functional.normalize(z)
    logits = f @ f.T / temperature
    n = len(f)
    losses = []
    for i in range(n):
        keep = [j for j in range(n) if group[j] != group[i] or j == partner[i]]
        losses.append(torch.logsumexp(logits[i, keep], 0) - logits[i, partner[i]])
    return torch.stack(losses).mean()


def self_loss(z, temperature=0.2):
    n = len(z) // 2
    return info_nce(z, [(i + n) % (2 * n) for i in range(2 * n)], [i % n for i in range(2 * n)], temperature)


def theft_loss(z, t, temperature=0.2):
    n = len(z)
    return info_nce(torch.cat([z, t]), [(i + n) % (2 * n) for i in range(2 * n)], [i % n for i in range(2 * n)],
                    temperature)


def forwards():
    for arch, stem, size in [("resnet8", "cifar", 8), ("resnet10", "imagenet", 33), ("resnet14", "cifar", 16),
                             ("resnet50", "cifar", 16), ("resnet50", "imagenet", 40)]:
        model = Encoder(arch, stem, 0.0625).eval()
        with torch.no_grad():
            fill(model)
            x = torch.tensor((images(3, size) / 255.0 - 0.5) / 0.25)
            OUT[f"forward.{arch}.{stem}.{size}"] = model.represent(x).numpy()


def losses():
    z = torch.tensor(noise(6 * 5, "z").astype(np.float64)).reshape(6, 5).requires_grad_()
    t = torch.tensor(noise(6 * 5, "target").astype(np.float64)).reshape(6, 5)
    for name, loss in [("infonce.self", lambda: self_loss(z)), ("infonce.theft", lambda: theft_loss(z, t)),
                       ("mse", lambda: torch.nn.functional.mse_loss(z, t))]:
        value = loss()
        z.grad = None
        value.backward()
        OUT[f"loss.{name}.value"] = value.detach().numpy().reshape(1)
        OUT[f"loss.{name}.gradient"] = z.grad.numpy().copy()


def train(name, arch, head_dim, loss, stem="cifar", size=8, keep="", lr0=0.01, steps=5):
    """11 images, batch 5: two steps an epoch, the last image dropped; cosine with hold 1 of 4 epochs."""
    model = Encoder(arch, stem, 0.0625, head_dim).train()
    with torch.no_grad():
        fill(model)
    x = normalised(images(11, size))
    opt = torch.optim.Adam(model.parameters(), lr=lr0, betas=(0.9, 0.99), eps=1e-3, weight_decay=1e-3)
    values = []
    for step in range(steps):
        epoch, begin = step // 2, step % 2 * 5
        lr = lr0 if epoch <= 1 else lr0 * (1 + np.cos(np.pi * (epoch - 1) / 3)) / 2
        for group in opt.param_groups:
            group["lr"] = lr
        value = loss(model, x[begin:begin + 5], begin)
        opt.zero_grad()
        value.backward()
        opt.step()
        values.append(value.item())
    OUT[f"train.{name}.losses"] = np.array(values)
    for key, t in model.state_dict().items():
        if key.startswith(keep) and not key.endswith("num_batches_tracked"):
            OUT[f"train.{name}.{key}"] = t.numpy().astype(np.float32)


def trainings():
    answers = torch.tensor(noise(11 * 16, "answers").astype(np.float64)).reshape(11, 16)
    train("self", "resnet8", 8, lambda m, x, at: self_loss(m(torch.cat([x, x])), 0.5))
    train("per_view", "resnet8", 8, lambda m, x, at: self_loss(torch.cat([m(x), m(x)]), 0.5))
    train("theft", "resnet8", 0, lambda m, x, at: theft_loss(m(x), answers[at:at + 5], 0.5))
    train("regression", "resnet8", 16, lambda m, x, at: torch.nn.functional.mse_loss(m(x), answers[at:at + 5]))
    train("bottleneck", "resnet26", 16, lambda m, x, at: torch.nn.functional.mse_loss(m(x), answers[at:at + 5]),
          "imagenet", 64, "layer1.0.", 0.0005)


forwards()
losses()
trainings()
write_safetensors(os.path.join(os.path.dirname(os.path.abspath(__file__)), "golden.safetensors"), OUT)
print(f"{len(OUT)} arrays, PyTorch {torch.__version__}")
