#!/usr/bin/env python3
"""SimCLR's training step, dinf against PyTorch, in one run on one device: augmentation, forward,
InfoNCE, backward, Adam; the images lie on the device.

    train_step.py --dinf build/dinf [--device cuda] [--precisions bf16 tf32 fp32] [--peers eager compile loader]
                  [--arch resnet34] [--batch 256] [--size 32] [--steps 20] [--repeats 5] [--json FILE]

batch counts images, two views each. Peers:
  eager      PyTorch as it is written, channels_last, augmentation in batches on the device, fused Adam
  compile    the same, model and loss through torch.compile(mode="reduce-overhead"), augmentation compiled
  autotune   the same with mode="max-autotune"; its search takes minutes
  loader     the published loops' style: torchvision's transforms, image by image, in two loader processes
Each repeat is `steps` steps; medians are compared. dinf is measured before and after the peers, each time in
a new process, and once with its steps queued call by call (DINF_CUDA_GRAPHS=0): the losses of all must be equal
bit for bit. --json is written again after every figure; peers that it has, of the same sizes and versions, are
not measured again. Exit status 1: no figure of dinf or of eager, or losses differ."""
import argparse
import json
import os
import shlex
import statistics
import subprocess
import sys
import tempfile
import time

import torch

from simclr_torch import Encoder, info_nce, simclr_views


EAGERLY = "dinf, no graphs"
OURS = ("dinf", EAGERLY)


def synchronise(device):
    if device == "cuda":
        torch.cuda.synchronize()


def set_precision(precision):
    tf32 = precision != "fp32"
    torch.backends.cuda.matmul.allow_tf32 = tf32
    torch.backends.cudnn.allow_tf32 = tf32
    torch.backends.cudnn.benchmark = True


def loader_of(a):
    """Batches of views made by two processes, forever."""
    import torchvision.transforms as T
    from PIL import Image
    kernel = max(3, int(0.1 * a.size) // 2 * 2 + 1)
    one = T.Compose([T.RandomResizedCrop(a.size), T.RandomHorizontalFlip(),
                     T.RandomApply([T.ColorJitter(0.8, 0.8, 0.8, 0.2)], p=0.8), T.RandomGrayscale(0.2),
                     T.GaussianBlur(kernel, (0.1, 2.0)), T.ToTensor(), T.Normalize([0.5] * 3, [0.25] * 3)])

    class Views(torch.utils.data.Dataset):
        images = torch.randint(0, 256, (a.batch, a.size, a.size, 3), dtype=torch.uint8).numpy()

        def __len__(self):
            return 1 << 30

        def __getitem__(self, i):
            image = Image.fromarray(self.images[i % len(self.images)])
            return one(image), one(image)

    return iter(torch.utils.data.DataLoader(Views(), a.batch, num_workers=2, pin_memory=a.device == "cuda"))


def even(n):
    """The two loader processes take turns: an odd number of batches would count one of them more often."""
    return n + n % 2


def trained_by_torch(a, precision, peer):
    """A function that makes one step and returns its loss."""
    if peer in ("compile", "autotune") and not hasattr(torch, "compile"):
        raise RuntimeError("this PyTorch has no torch.compile")
    torch.manual_seed(0)
    set_precision(precision)
    device = torch.device(a.device)
    batches = loader_of(a) if peer == "loader" else None
    model = Encoder(a.arch, a.width).to(device).to(memory_format=torch.channels_last).train()
    adam = {"fused": True} if a.device == "cuda" else {}
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-4, weight_decay=1e-4, **adam)
    pixels = torch.randint(0, 256, (a.batch, 3, a.size, a.size), dtype=torch.uint8, device=device)

    def views():
        if batches is not None:
            return torch.cat(next(batches)).to(device, non_blocking=True)
        return augment(torch.cat([pixels, pixels]), a.size)

    def forward(x):
        x = x.contiguous(memory_format=torch.channels_last)
        with torch.autocast(a.device, torch.bfloat16, enabled=precision == "bf16"):
            z = model(x)
        return info_nce(z)

    augment = simclr_views
    if peer in ("compile", "autotune"):
        augment = torch.compile(simclr_views)
        forward = torch.compile(forward, mode="reduce-overhead" if peer == "compile" else "max-autotune")

    def step():
        with torch.no_grad():
            x = views()
        loss = forward(x)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        return loss.detach().clone()

    return step


def repeat(step, steps, device):
    """Seconds a step and mean loss; as dinf's, the sum stays on the device and is read once."""
    total = torch.zeros((), device=device)
    synchronise(device)
    begin = time.perf_counter()
    for _ in range(steps):
        total += step()
    loss = total.item() / steps
    return (time.perf_counter() - begin) / steps, loss


def reason(e):
    return f"{type(e).__name__}: {str(e).splitlines()[0] if str(e) else ''}"[:200]


def measure_torch(a, precision, peer):
    """Whatever goes wrong does not take earlier repeats or the other peers' figures along."""
    repeats, steps, warmup = a.repeats, a.steps, a.warmup
    if peer == "loader":
        repeats, steps, warmup = 1, even(max(20, a.steps)), even(a.warmup)
    result = {"runs": []}
    try:
        step = trained_by_torch(a, precision, peer)
        begin = time.perf_counter()
        for _ in range(warmup):
            step()
        synchronise(a.device)
        result["preparation"] = time.perf_counter() - begin
        for _ in range(repeats):
            seconds, result["loss"] = repeat(step, steps, a.device)
            result["runs"].append(seconds)
    except Exception as e:
        if not result["runs"]:
            return {"skipped": reason(e)}
        result["stopped"] = reason(e)
    return result


class Dinf:
    """dinf bench train; the algorithms that its first process measures hold for all."""

    def __init__(self, a, folder):
        self.a, self.folder, self.losses = a, folder, {}

    def measure(self, precision, graphs=True):
        a = self.a
        command = [a.dinf, "bench", "train", "--device", a.device, "--json", "--arch", a.arch, "--width", str(a.width),
                   "--batch", str(a.batch), "--size", str(a.size), "--precision", precision, "--steps", str(a.steps),
                   "--warmup", str(a.warmup)] + (["--threads", str(a.threads)] if a.threads else [])
        extra = {"DINF_CUDA_CHOICES": os.path.join(self.folder, "choices")}
        extra["DINF_RECORD" if graphs else "DINF_CUDA_GRAPHS"] = "required" if graphs else "0"
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              env={**os.environ, **extra})
        if done.returncode != 0:
            return {"skipped": (done.stderr.strip().splitlines() or [f"status {done.returncode}"])[-1]}
        out = json.loads(done.stdout)
        self.losses.setdefault(precision, []).append(out["loss"])
        return {"runs": [out["seconds_per_step"]], "loss": out["loss"], "description": out["description"],
                "recorded": out["recorded"],
                "parameters": out["parameters"], "command": ("" if graphs else "DINF_CUDA_GRAPHS=0 ")
                + shlex.join(command)}

    def unequal(self):
        return [f"{precision}: {values}" for precision, values in self.losses.items() if len(set(values)) > 1]


class Report:
    def __init__(self, a):
        self.a, self.rows = a, []
        self.head = {"bench": "train_step", "torch": torch.__version__, "device": a.device}
        if a.device == "cuda":
            self.head["gpu"] = torch.cuda.get_device_name()
            self.head["cuda"] = torch.version.cuda
            self.head["cudnn"] = torch.backends.cudnn.version()
        for key in ("arch", "width", "size", "batch", "steps", "warmup"):
            self.head[key] = getattr(a, key)

        self.rows = self.earlier()

    def earlier(self):
        """The peers' figures that an earlier call left in the file; dinf's are taken anew, because its losses must be
        equal with the same choice of algorithms."""
        if not self.a.json or not os.path.exists(self.a.json):
            return []
        with open(self.a.json) as f:
            old = json.load(f)
        rows = old.pop("rows", [])
        return [r for r in rows if "runs" in r and r["who"] not in OURS] if old == self.head else []

    def row(self, precision, who):
        return next((r for r in self.rows if r["who"] == who and r["precision"] == precision), None)

    def has(self, precision, who):
        return "runs" in (self.row(precision, who) or {})

    def complete(self, precision, who):
        return self.has(precision, who) and "stopped" not in self.row(precision, who)

    def add(self, precision, who, result):
        old = self.row(precision, who)
        row = {"precision": precision, "who": who, **result}
        if old and "runs" in old:
            row = {**old, "stopped": row.get("skipped"), **row, "runs": old["runs"] + row.get("runs", [])}
            row.pop("skipped", None)
            if row["stopped"] is None:
                del row["stopped"]
        if "runs" in row:
            row["seconds_per_step"] = statistics.median(row["runs"])
            row["views_per_second"] = 2 * self.a.batch / row["seconds_per_step"]
        if old:
            self.rows[self.rows.index(old)] = row
        else:
            self.rows.append(row)
        print(f"{precision} {who}: "
              + (f"{1e3 * row['seconds_per_step']:.2f} ms" if "runs" in row else row["skipped"]), file=sys.stderr)
        ours = self.row(precision, "dinf")
        for r in self.rows:
            if ours and "runs" in ours and r["precision"] == precision and "runs" in r:
                r["dinf_over_this"] = r["seconds_per_step"] / ours["seconds_per_step"]
        if self.a.json:
            with open(self.a.json + ".new", "w") as f:
                json.dump({**self.head, "rows": self.rows}, f, indent=1)
                f.write("\n")
            os.replace(self.a.json + ".new", self.a.json)

    def table(self):
        a = self.a
        print(f"{a.arch}, width {a.width:g}, CIFAR stem, {2 * a.batch} views of {a.size} px, augmentation included; "
              f"{self.head.get('gpu', a.device)}, PyTorch {torch.__version__}\n")
        print("| precision | | median [ms] | least [ms] | most [ms] | views/s | dinf's speed over it | mean loss |")
        print("|---|---|---:|---:|---:|---:|---:|---:|")
        for r in self.rows:
            if "runs" not in r:
                print(f"| {r['precision']} | {r['who']} | skipped: {r['skipped']} | | | | | |")
                continue
            ratio = f"{r['dinf_over_this']:.2f}" if "dinf_over_this" in r and r["who"] != "dinf" else ""
            print(f"| {r['precision']} | {r['who']} | {1e3 * r['seconds_per_step']:.2f} | {1e3 * min(r['runs']):.2f} "
                  f"| {1e3 * max(r['runs']):.2f} | {r['views_per_second']:.0f} | {ratio} | {r['loss']:.3f} |")
            if "stopped" in r:
                print(f"| | it then failed: {r['stopped']} | | | | | | |")
        for command in dict.fromkeys(r["command"] for r in self.rows if "command" in r):
            print("$", command)

    def missing(self):
        return [(precision, who) for precision in self.a.precisions
                for who in (list(OURS) if self.a.dinf else []) + self.a.peers if not self.has(precision, who)]


def measure(a, precision, report, dinf):
    """What the report lacks in this precision, between measurements of dinf."""
    peers = [peer for peer in a.peers if not report.complete(precision, peer)]
    done = report.complete(precision, "dinf") and report.complete(precision, EAGERLY)
    rounds = max(1, (a.repeats + 1) // 2) if dinf and (peers or not done) else 0
    for _ in range(rounds):
        report.add(precision, "dinf", dinf.measure(precision))
    if rounds and not report.complete(precision, EAGERLY):
        report.add(precision, EAGERLY, dinf.measure(precision, graphs=False))
    for peer in peers:
        report.add(precision, peer, measure_torch(a, precision, peer))
        if a.device == "cuda":
            torch.cuda.empty_cache()
    for _ in range(max(1, a.repeats - rounds) if rounds else 0):
        report.add(precision, "dinf", dinf.measure(precision))


def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--dinf", help="the program; without it PyTorch alone")
    p.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    p.add_argument("--precisions", nargs="+", default=["bf16", "tf32", "fp32"], choices=["bf16", "tf32", "fp32"])
    p.add_argument("--peers", nargs="*", default=["eager", "compile", "loader"],
                   choices=["eager", "compile", "autotune", "loader"])
    p.add_argument("--arch", default="resnet34")
    p.add_argument("--width", type=float, default=1)
    p.add_argument("--batch", type=int, default=256)
    p.add_argument("--size", type=int, default=32)
    p.add_argument("--steps", type=int, default=20)
    p.add_argument("--warmup", type=int, default=10)
    p.add_argument("--repeats", type=int, default=5)
    p.add_argument("--threads", type=int, default=0, help="of dinf and PyTorch on the CPU; 0: each its own choice")
    p.add_argument("--json")
    return p.parse_args()


def main():
    a = arguments()
    if a.device == "cuda" and not torch.cuda.is_available():
        print("SKIP: PyTorch finds no GPU here")
        sys.exit(77)
    if a.threads:
        torch.set_num_threads(a.threads)
    report = Report(a)
    with tempfile.TemporaryDirectory(prefix="dinf-step-") as folder:
        dinf = Dinf(a, folder) if a.dinf else None
        for precision in a.precisions:
            measure(a, precision, report, dinf)
    report.table()
    missing, unequal = report.missing(), dinf.unequal() if dinf else []
    if missing:
        print("no figure of:", ", ".join(" ".join(m) for m in missing))
    if unequal:
        sys.exit("losses of equal trainings differ: " + "; ".join(unequal))
    if any(who in (*OURS, "eager") for _, who in missing):
        sys.exit(1)


if __name__ == "__main__":
    main()
