#!/usr/bin/env python3
"""What the chip could do, and how much of it the other benchmarks got.

    floor.py [--device cuda] [--chip CHIP.json] [FILES of train_step.py, thefts.py, gmm.py ...] [--json FILE]

Measures memory bandwidth by a large copy and the rates of matrix products in PyTorch (or takes them from
--chip, a file of an earlier --json), computes the bytes and operations that each benchmark needs from its
shapes, and prints floor over measured time. Two floors, in seconds:
  least           max(all operations / rate, all bytes / bandwidth): nothing that keeps to these operations and
                  keeps every convolution's output is faster
  layer by layer  the sum over layers of max(operations / rate, bytes / bandwidth), with the traffic of separate
                  kernels: what a program of this division into kernels could reach
Operations of a convolution: 2 n h w c_in c_out k^2 forward, as many for each of its two gradients (the first has
none at its input). They are those of direct convolutions in every precision: Winograd's need fewer.
Least bytes, by activation: a convolution's output is written once and read once backward (batch norm's statistics
come with the convolution, its values and the relu's mask are computed again where they are read); of tensors
handed from one kernel to the next (inputs forward, gradients, block outputs) what does not fit the cache.
Layer by layer: a convolution reads x, writes y; reads dy, writes dx; reads x and dy. Batch norm reads its input
twice forward (the second time with the residual) and writes once; backward it reads input, output (for the relu) and
gradient twice, writes one gradient, two with a residual.
Both: Adam (24 bytes a parameter at least, 28 with the gradient written), augmentation (a byte read, an element
written for every channel and pixel; least: the byte), projector, InfoNCE (three products of the views' square).
Activations have 2 bytes in bf16, 4 otherwise; weights 4. Mixtures, per iteration: rows read once, 8 n d
bytes, with 8 n d k operations (diagonal) or 2 n d^2 k (full; triangular products), in double precision."""
import argparse
import json
import os
import sys
import time

DEPTHS = {"resnet8": (1, 1, 1), "resnet10": (1, 1, 1, 1), "resnet12": (2, 1, 1, 1), "resnet14": (2, 2, 1, 1),
          "resnet16": (2, 2, 2, 1), "resnet18": (2, 2, 2, 2), "resnet34": (3, 4, 6, 3)}


# ---- the chip


def seconds_of(f, device, least=0.3):
    """Median of repeats, after a warm-up, of at least `least` seconds together."""
    import torch

    def once(times):
        if device == "cuda":
            torch.cuda.synchronize()
        begin = time.perf_counter()
        for _ in range(times):
            f()
        if device == "cuda":
            torch.cuda.synchronize()
        return (time.perf_counter() - begin) / times

    once(2)
    times = max(1, int(least / 5 / max(once(2), 1e-6)))
    return sorted(once(times) for _ in range(5))[2]


def measure_chip(device, megabytes, side):
    import torch
    chip = {"bench": "chip", "device": device, "torch": torch.__version__}
    if device == "cuda":
        chip["gpu"] = torch.cuda.get_device_name()
        chip["cache"] = getattr(torch.cuda.get_device_properties(0), "L2_cache_size", 50 << 20)
    a = torch.zeros(megabytes << 20, dtype=torch.uint8, device=device)
    b = torch.empty_like(a)
    chip["bandwidth"] = 2 * a.numel() / seconds_of(lambda: b.copy_(a), device)
    del a, b
    for name, kind, tf32 in (("bf16", torch.bfloat16, False), ("tf32", torch.float32, True),
                             ("fp32", torch.float32, False), ("fp64", torch.float64, False)):
        torch.backends.cuda.matmul.allow_tf32 = tf32
        x, y = (torch.randn(side, side, device=device).to(kind) for _ in range(2))
        out = torch.empty_like(x)
        chip[name] = 2 * side ** 3 / seconds_of(lambda: torch.mm(x, y, out=out), device)
    return chip


# ---- what is needed


class Count:
    """layers: (operations, bytes) of separate kernels; operations and least: sums."""

    def __init__(self, element, cache):
        self.element, self.cache = element, cache
        self.layers, self.parameters, self.operations, self.least = [], 0, 0, 0

    def add(self, operations, elements, other_bytes=0):
        self.layers.append((operations, elements * self.element + other_bytes))
        self.operations += operations

    def passed(self, elements, times):
        """A tensor of which a cache may hold as much as it has room for, between its writer and its reader."""
        self.least += times * max(0, elements * self.element - self.cache)

    def convolution(self, n, c_in, c_out, side, kernel, stride, first=False, shares_input=False):
        out = side // stride
        x, y, weights = n * c_in * side * side, n * c_out * out * out, c_in * c_out * kernel * kernel
        self.parameters += weights
        operations = 2 * y * c_in * kernel * kernel
        self.add(operations, x + y, 4 * weights)          # forward
        self.add(operations, x + y, 4 * weights)          # gradient of the weights
        if not first:
            self.add(operations, x + y, 4 * weights)      # gradient at the input
        self.least += 2 * y * self.element                # written, and read backward
        self.passed(y, 2)                                 # its gradient
        if not shares_input:
            self.passed(x, 1)
        return out

    def batch_norm(self, n, c, side, relu=True, residual=False):
        y = n * c * side * side
        self.parameters += 2 * c
        self.add(0, (4 if residual else 3) * y)           # input twice, residual, output
        self.add(0, 2 * (3 if relu else 2) * y + (2 if residual else 1) * y)
        if residual:
            self.passed(y, 3)                             # written, read by the next block, and for its mask

    def linear(self, n, c_in, c_out):
        self.parameters += c_in * c_out + c_out
        for _ in range(3):
            self.add(2 * n * c_in * c_out, 0, 4 * (n * (c_in + c_out) + c_in * c_out))


def count_step(arch, width, size, views, rows_of_loss, head, element, cache):
    """A training step: views through the network, InfoNCE over rows_of_loss rows; and the encoder's parameters."""
    count = Count(element, cache)
    pixels = 3 * views * size * size
    count.add(0, pixels, pixels)                          # augmentation
    count.least += pixels
    c, side = round(64 * width), size
    count.convolution(views, 3, c, side, 3, 1, first=True)
    count.batch_norm(views, c, side)
    for stage, depth in enumerate(DEPTHS[arch]):
        planes = round((64 << stage) * width)
        for i in range(depth):
            stride = 2 if stage > 0 and i == 0 else 1
            if stride != 1 or c != planes:
                count.convolution(views, c, planes, side, 1, stride, shares_input=True)
                count.batch_norm(views, planes, side // stride, relu=False)
            side = count.convolution(views, c, planes, side, 3, stride)
            count.batch_norm(views, planes, side)
            count.convolution(views, planes, planes, side, 3, 1)
            count.batch_norm(views, planes, side, residual=True)
            c = planes
    encoder = count.parameters
    count.add(0, 2 * views * c * side * side, 8 * views * c)  # average pooling, both ways
    dim = c
    if head:
        count.linear(views, c, c)
        count.linear(views, c, head)
        dim = head
    count.add(3 * 2 * rows_of_loss ** 2 * dim, 0, 4 * (4 * rows_of_loss ** 2 + 4 * rows_of_loss * dim))
    count.add(0, 0, 28 * count.parameters)                    # Adam: w, m, v both ways, g
    count.least += 24 * count.parameters
    return count, encoder


class Floor:
    """Of `times` repetitions of what was counted."""

    def __init__(self, operations, least_bytes, layers, rate, bandwidth, times=1):
        self.operations, self.bytes = times * operations, times * least_bytes
        self.least = times * max(operations / rate, least_bytes / bandwidth)
        self.by_layer = times * sum(max(o / rate, b / bandwidth) for o, b in layers)


def step_floor(result, chip, precision, views, rows_of_loss, head, times=1):
    count, encoder = count_step(result["arch"], result["width"], result["size"], views, rows_of_loss, head,
                                2 if precision == "bf16" else 4, chip.get("cache", 0))
    return Floor(count.operations, count.least, count.layers, chip[precision], chip["bandwidth"], times), encoder


# ---- the table


def rows_of(result, chip):
    """(what, measured seconds, its Floor)"""
    if result["bench"] == "train_step":
        for r in result["rows"]:
            if "seconds_per_step" not in r:
                continue
            views = 2 * result["batch"]
            floor, encoder = step_floor(result, chip, r["precision"], views, views, 128)
            if r.get("parameters", encoder) != encoder:
                sys.exit(f"{encoder} parameters counted, dinf says {r['parameters']}")
            yield f"step, {result['arch']}, {r['precision']}, {r['who']}", r["seconds_per_step"], floor
    elif result["bench"] == "thefts":
        # a step of a theft: `batch` views, their features and the victim's answers in the loss, no head
        steps = result["thefts"] * result["epochs"] * (result["queries"] // result["batch"])
        for r in result["rows"]:
            if "seconds" in r:
                name = f"{result['thefts']} thefts, {r['workers']} workers{', MPS' if r['mps'] else ''}"
                yield (name, r["seconds"], step_floor(result, chip, result["precision"], result["batch"],
                                                      2 * result["batch"], 0, steps)[0])
    elif result["bench"] == "gmm":
        for case in result["cases"]:
            if case["seconds_per_iteration"] is None:
                continue
            n, d, k = case["n"], case["d"], case["components"]
            operations = 8 * n * d * k if case["covariance"] == "diag" else 2 * n * d * d * k
            yield (f"EM, {case['covariance']} {n} x {d}, {k}", case["seconds_per_iteration"],
                   Floor(operations, 8 * n * d, [(operations, 8 * n * d)], chip["fp64"], chip["bandwidth"]))
    else:
        sys.exit(f"no bench {result['bench']!r}")


def share(floor, seconds):
    text = f"{100 * floor / seconds:.1f}%"
    return f"not a floor: {text}" if floor > seconds else text


def table(paths, chip):
    print("\n| what | measured [ms] | 10^9 operations | least GB | least [ms] | share | layer by layer [ms] | share |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|")
    for path in paths:
        with open(path) as f:
            result = json.load(f)
        for what, seconds, floor in rows_of(result, chip):
            print(f"| {what} | {1e3 * seconds:.3f} | {floor.operations / 1e9:.2f} | {floor.bytes / 1e9:.3f} "
                  f"| {1e3 * floor.least:.3f} | {share(floor.least, seconds)} "
                  f"| {1e3 * floor.by_layer:.3f} | {share(floor.by_layer, seconds)} |")
    print("\nOperations are those of direct convolutions (Winograd's need fewer); bytes are memory's, not a cache's: "
          "a share above 100% says so.")


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("files", nargs="*")
    p.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    p.add_argument("--chip", help="rates of an earlier --json")
    p.add_argument("--megabytes", type=int, default=2048, help="size of the copy")
    p.add_argument("--side", type=int, default=8192, help="of the matrices")
    p.add_argument("--json")
    a = p.parse_args()
    if a.chip:
        with open(a.chip) as f:
            chip = json.load(f)
    else:
        chip = measure_chip(a.device, a.megabytes, a.side)
    if a.json:
        with open(a.json + ".new", "w") as f:
            json.dump(chip, f, indent=1)
            f.write("\n")
        os.replace(a.json + ".new", a.json)
    print(f"{chip.get('gpu', chip['device'])}: {chip['bandwidth'] / 1e9:.0f} GB/s copying; matrix products "
          + ", ".join(f"{chip[k] / 1e12:.3g} TFLOP/s in {k}" for k in ("bf16", "tf32", "fp32", "fp64")))
    if a.files:
        table(a.files, chip)


if __name__ == "__main__":
    main()
