#!/usr/bin/python3
"""Do two builds compute the same, bit for bit?

usage: same.py OLD/dinf NEW/dinf [--device NAME]... [--threads N]... [--config FILE] [--set PATH=VALUE]...

Runs a small campaign (or FILE) with both, on each device and number of threads, and compares the identities of
tasks, every tensor of every encoder, and every array and column that is not about time. For redesigns that must not
change results. Status 0: the same; 1: something differs, and it is named.
"""
import argparse
import hashlib
import json
import pathlib
import subprocess
import sys
import tempfile

import h5py
import numpy as np

CAMPAIGN = """
campaign = { name = "same"; seed = 3; };
datasets = (
    { name = "all"; format = "procedural"; seed = 1; count = 160; size = 16; },
    { name = "members"; of = "all"; begin = 0; count = 60; },
    { name = "heldout"; of = "all"; begin = 60; count = 40; },
    { name = "outside"; of = "all"; begin = 100; count = 60; } );
encoders = (
    { name = "victim"; role = "victim"; heldout = "heldout";
      train = { dataset = "members"; loss = "infonce"; arch = "resnet10"; width = 0.125; epochs = 3; batch = 16; }; },
    { name = "other"; role = "independent";
      train = { dataset = "outside"; loss = "infonce"; arch = "resnet18"; stem = "imagenet"; width = 0.125; epochs = 2;
                batch = 20; projector = "none"; }; } );
steal = ( { victim = "victim"; queries = [ "members", "outside" ]; budgets = [ 40 ]; loss = [ "infonce", "mse" ];
            arch = "resnet10"; width = 0.125; epochs = 2; batch = 16; query = { augment = "weak"; views = 2; }; },
          { victim = "victim"; queries = "outside"; budgets = [ 30 ]; loss = "mse"; name = "head"; head = "mlp";
            arch = "resnet14"; width = 0.25; epochs = 2; batch = 16; } );
evaluate = { dataset_inference = { statistics = [ "gap", "learned" ]; components = 2; };
             similarity = { obfuscations = [ "none", "shuffle" ]; }; };
"""
TIMED = {"seconds", "images_per_second", "start", "rank", "host", "device", "attempts"}


def digests(folder):
    """What can be compared, by name."""
    found = {}
    for path in sorted((folder / "encoders").glob("*.safetensors")):
        data = path.read_bytes()
        size = int.from_bytes(data[:8], "little")
        for name, t in json.loads(data[8:8 + size]).items():
            if name != "__metadata__":
                begin, end = t["data_offsets"]
                found[f"{path.name} {name}"] = hashlib.sha256(data[8 + size + begin:8 + size + end]).hexdigest()

    def visit(name, item):
        if not isinstance(item, h5py.Dataset):
            return
        values = item[()]
        if values.dtype.names is None:
            found[name] = hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest()
        else:
            for column in set(values.dtype.names) - TIMED:
                found[f"{name} {column}"] = hashlib.sha256(np.ascontiguousarray(values[column]).tobytes()).hexdigest()

    with h5py.File(folder / "results.h5") as f:
        pending = [("", f)]
        while pending:  # visititems does not follow links
            prefix, group = pending.pop()
            for key in group:
                item = group[key]
                if isinstance(item, h5py.Group):
                    pending.append((f"{prefix}/{key}", item))
                else:
                    visit(f"{prefix}/{key}", item)
    return found


def run(dinf, config, out, device, threads, sets):
    command = [dinf, "run", config, "--out", out, "--set", f"campaign.device={device}", "--set",
               f"campaign.threads={threads}", *sum((["--set", s] for s in sets), [])]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}: status {done.returncode}\n{done.stderr[-3000:]}")


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("old")
    p.add_argument("new")
    p.add_argument("--device", action="append")
    p.add_argument("--threads", action="append", type=int)
    p.add_argument("--config")
    p.add_argument("--set", action="append", default=[])
    a = p.parse_args()
    different = 0
    with tempfile.TemporaryDirectory(prefix="dinf-same.") as folder:
        folder = pathlib.Path(folder)
        config = a.config
        if config is None:
            config = folder / "same.cfg"
            config.write_text(CAMPAIGN)
        for device in a.device or ["ref", "cpu"]:
            for threads in a.threads or [1, 2]:
                sides = []
                for which, dinf in (("old", a.old), ("new", a.new)):
                    out = folder / f"{device}-{threads}-{which}"
                    run(dinf, config, out, device, threads, a.set)
                    sides.append(digests(out))
                names = sorted(set(sides[0]) | set(sides[1]))
                differing = [n for n in names if sides[0].get(n) != sides[1].get(n)]
                for n in differing[:20]:
                    print(f"{device}, {threads} threads: {n} differs")
                print(f"{device}, {threads} threads: {len(names)} compared, {len(differing)} differ", flush=True)
                different += len(differing)
                if not names:
                    sys.exit("nothing was compared")
    return different != 0


if __name__ == "__main__":
    sys.exit(main())
