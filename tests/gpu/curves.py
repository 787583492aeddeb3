#!/usr/bin/env python3
"""The same small training on the processor and on the GPU: are the losses the same?

    curves.py --dinf build/dinf [--device cuda] [--precisions fp32 tf32 bf16] [--arch resnet18] [--batch 32]
              [--size 32] [--steps 24] [--json FILE]

`batch` random images (an .npy file), one step an epoch, shuffle = false, augment = weak: equal draws on both
devices. Trainings drift apart, because Adam turns the signs of gradients near zero into whole steps, so that
the tolerance of a step's loss grows (see LIMITS). The curves are read from results.h5; without h5py, steps
1, 2, 3, 5, 10, 20 are taken from `dinf bench train`. Exit status 1 if a tolerance is exceeded."""
import argparse
import json
import os
import subprocess
import sys
import tempfile

# relative difference of the loss at the first step, at steps 2 to 5, later
LIMITS = {"fp32": (5e-6, 2e-3, 5e-2), "tf32": (2e-3, 1e-2, 1e-1), "bf16": (2e-2, 5e-2, 1.5e-1)}
FEW = (1, 2, 3, 5, 10, 20)

CONFIG = """
campaign = {{ name = "curves"; seed = 0; trials = 1; threads = {threads}; retries = 0; }};
datasets = ( {{ name = "noise"; format = "npy"; path = "{images}"; }} );
encoders = ( {{ name = "one"; role = "independent";
    train = {{ dataset = "noise"; arch = "{arch}"; stem = "cifar"; width = {width}; loss = "infonce"; augment = "weak";
              shuffle = false; epochs = {steps}; batch = {batch};
              lr = 2e-3; precision = "{precision}"; }}; }} );
"""


def run(command):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          env={**os.environ, "DINF_PROGRESS": "plain"})
    if done.returncode != 0:
        sys.exit(f"status {done.returncode}: {' '.join(command)}\n{done.stderr[-2000:]}")
    return done.stdout


def by_run(a, device, precision, folder):
    import h5py
    import numpy as np
    images = os.path.join(folder, "noise.npy")
    np.save(images, np.random.default_rng(0).integers(0, 256, (a.batch, 3, a.size, a.size), dtype=np.uint8))
    config, out = os.path.join(folder, "curves.cfg"), os.path.join(folder, f"{device}-{precision}")
    with open(config, "w") as f:
        f.write(CONFIG.format(**{**vars(a), "images": images, "precision": precision}))
    run([a.dinf, "run", config, "--device", device, "--out", out])
    with h5py.File(os.path.join(out, "results.h5")) as f:
        losses = f["curves/one"]["loss"]
    return {i + 1: float(v) for i, v in enumerate(losses)}


def by_bench(a, device, precision):
    losses = {}
    for step in (s for s in FEW if s <= a.steps):
        out = run([a.dinf, "bench", "train", "--device", device, "--json", "--arch", a.arch, "--width", str(a.width),
                   "--size", str(a.size), "--batch", str(a.batch), "--augment", "weak", "--precision", precision,
                   "--threads", str(a.threads), "--warmup", str(step - 1), "--steps", "1"])
        losses[step] = json.loads(out)["loss"]
    return losses


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--dinf", default="build/dinf")
    p.add_argument("--device", default="cuda", help="what is compared with cpu")
    p.add_argument("--precisions", nargs="+", default=["fp32", "tf32", "bf16"], choices=list(LIMITS))
    p.add_argument("--arch", default="resnet18")
    p.add_argument("--width", type=float, default=1.0)
    p.add_argument("--batch", type=int, default=32)
    p.add_argument("--size", type=int, default=32)
    p.add_argument("--steps", type=int, default=24)
    p.add_argument("--threads", type=int, default=min(8, os.cpu_count()))
    p.add_argument("--bench", action="store_true", help="as if h5py were missing")
    p.add_argument("--json")
    a = p.parse_args()
    try:
        import h5py  # noqa: F401
        whole = not a.bench
    except ImportError:
        whole = False
    print("curves of dinf run" if whole else "losses of dinf bench train")
    bad, out = [], {"bench": "curves", "curves": {}}
    with tempfile.TemporaryDirectory(prefix="dinf-curves-") as folder:
        def losses(device, precision):
            return by_run(a, device, precision, folder) if whole else by_bench(a, device, precision)

        want = out["curves"]["cpu"] = losses("cpu", "fp32")
        for precision in a.precisions:
            have = out["curves"][f"{a.device} {precision}"] = losses(a.device, precision)
            first, early, late = LIMITS[precision]
            print(f"\n{precision}: step, loss on cpu, loss on {a.device}, relative difference, tolerance")
            for step, value in want.items():
                limit = first if step == 1 else early if step <= 5 else late
                difference = abs(have[step] - value) / abs(value)
                wrong = not difference <= limit
                print(f"{step:4d} {value:10.6f} {have[step]:10.6f} {difference:9.1e} {limit:9.1e}"
                      + ("  TOO FAR" if wrong else ""))
                if wrong:
                    bad.append(f"{precision} step {step}")
    if a.json:
        with open(a.json, "w") as f:
            json.dump(out, f, indent=1)
            f.write("\n")
    if bad:
        sys.exit(f"too far: {', '.join(bad)}")


if __name__ == "__main__":
    main()
