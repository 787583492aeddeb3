#!/usr/bin/env python3
"""Thefts that share a GPU: how long 16 of them take, one after another and several at a time.

    thefts.py --dinf build/dinf [--device cuda] [--workers 1 2 4 8] [--mps auto|yes|no] [--thefts 16]
              [--queries 5000] [--epochs 20] [--precision bf16] [--mpirun "mpirun ..."] [--json FILE]

A victim is trained briefly on procedural images, asked about `queries` images and stolen `thefts` times
(equal but for their learning rates) by as many worker ranks as told; rank 0 only coordinates. Time is the
journal's, from the first theft's start to the last one's end; each run has a directory of its own.
--mps yes: with NVIDIA's multi-process service, which is started and stopped here; auto: both, where
nvidia-cuda-mps-control exists. With --json the file is written again after every run."""
import argparse
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile

CONFIG = """# written by tests/bench/gpu/thefts.py
campaign = {{ name = "thefts"; seed = 0; trials = 1; threads = {threads}; retries = 0; device = "{device}"; }};
datasets = (
    {{ name = "shapes";  format = "cifar10"; path = "{folder}"; split = "train"; classes = 40; size = {size}; }},
    {{ name = "members"; of = "shapes"; begin = 0; count = {members}; }},
    {{ name = "outside"; of = "shapes"; begin = {members}; count = {queries}; }}
);
encoders = ( {{ name = "victim"; role = "victim";
    train = {{ dataset = "members"; arch = "{arch}"; stem = "cifar"; width = {width}; loss = "infonce"; epochs = 1;
              batch = {batch}; precision = "{precision}"; }}; }} );
steal = ( {{ victim = "victim"; queries = "outside"; budgets = {queries}; loss = "infonce"; lr = [ {rates} ];
            query = {{ augment = "none"; views = 1; }}; arch = "{arch}"; stem = "cifar"; width = {width};
            augment = "weak"; epochs = {epochs}; batch = {batch}; precision = "{precision}"; }} );
"""


def say(text):
    print(text, file=sys.stderr, flush=True)


def default_mpirun():
    found = shutil.which("mpirun")
    return f"{found} -q --oversubscribe --bind-to none --mca btl_vader_single_copy_mechanism none" if found else ""


def write_config(a, folder):
    members = min(a.queries, 2000)
    images = os.path.join(folder, "images")
    subprocess.run([a.dinf, "generate", "--out", images, "--count", str(members + a.queries)], check=True,
                   stdout=subprocess.DEVNULL)
    rates = ", ".join(f"{1e-3 * (1 + i / 100):.6g}" for i in range(a.thefts))
    path = os.path.join(folder, "thefts.cfg")
    with open(path, "w") as f:
        f.write(CONFIG.format(folder=images, members=members, rates=rates, **vars(a)))
    return path


class Mps:
    """The multi-process service with its pipes in `folder`; processes started inside use it."""

    def __init__(self, folder):
        self.environment = {"CUDA_MPS_PIPE_DIRECTORY": os.path.join(folder, "mps"),
                            "CUDA_MPS_LOG_DIRECTORY": os.path.join(folder, "mps-log")}

    def __enter__(self):
        for path in self.environment.values():
            os.makedirs(path, exist_ok=True)
        subprocess.run(["nvidia-cuda-mps-control", "-d"], env={**os.environ, **self.environment}, check=True,
                       timeout=30)
        return self.environment

    def __exit__(self, *_):
        try:
            subprocess.run(["nvidia-cuda-mps-control"], input="quit\n", text=True, timeout=30,
                           env={**os.environ, **self.environment}, stdout=subprocess.DEVNULL)
        except subprocess.TimeoutExpired:
            say("the multi-process service did not answer when told to quit")


def steal_times(folder):
    """(start, end) of every theft that came to its end."""
    with open(os.path.join(folder, "plan.json")) as f:
        plan = json.load(f)
    thefts = {t["id"] for t in plan["tasks"] if t["kind"] == "steal"}
    started, times = {}, []
    with open(os.path.join(folder, "journal.jsonl")) as f:
        for line in f:
            e = json.loads(line)
            if e.get("id") in thefts and e["event"] == "start":
                started[e["id"]] = e["t"]
            elif e.get("id") in thefts and e["event"] == "done":
                times.append((started[e["id"]], e["t"], e["seconds"]))
    return thefts, times


def measure(a, config, folder, workers, environment):
    out = os.path.join(folder, "run")
    shutil.rmtree(out, ignore_errors=True)
    command = ([] if not a.mpirun else shlex.split(a.mpirun) + ["-n", str(workers + 1)])
    command += [a.dinf, "run", config, "--out", out]
    log = os.path.join(folder, "log")
    with open(log, "w") as f:
        status = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=f, stderr=subprocess.STDOUT,
                                env={**os.environ, "DINF_PROGRESS": "plain", **environment}).returncode
    if status != 0:
        with open(log) as f:
            return {"skipped": f"status {status}: " + " / ".join(f.read().strip().splitlines()[-3:])}
    thefts, times = steal_times(out)
    if len(times) != len(thefts) or len(thefts) != a.thefts:
        return {"skipped": f"{len(times)} thefts done of {len(thefts)} planned, {a.thefts} wanted"}
    seconds = max(t[1] for t in times) - min(t[0] for t in times)
    return {"seconds": seconds, "thefts_per_hour": 3600 * len(times) / seconds,
            "seconds_of_a_theft": sum(t[2] for t in times) / len(times)}


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--dinf", default="build/dinf")
    p.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    p.add_argument("--workers", nargs="+", type=int, default=[1, 2, 4, 8])
    p.add_argument("--mps", default="auto", choices=["auto", "yes", "no"])
    p.add_argument("--mpirun", default=default_mpirun(), help="the launcher with its options; empty: one rank, no MPI")
    p.add_argument("--thefts", type=int, default=16)
    p.add_argument("--queries", type=int, default=5000)
    p.add_argument("--epochs", type=int, default=20)
    p.add_argument("--batch", type=int, default=256)
    p.add_argument("--arch", default="resnet18")
    p.add_argument("--width", type=float, default=1)
    p.add_argument("--size", type=int, default=32)
    p.add_argument("--precision", default="bf16", choices=["bf16", "tf32", "fp32"])
    p.add_argument("--threads", type=int, default=1, help="of a task")
    p.add_argument("--json")
    a = p.parse_args()
    a.dinf = os.path.abspath(a.dinf)
    mps_here = a.device == "cuda" and shutil.which("nvidia-cuda-mps-control") is not None
    kinds = {"no": [False], "yes": [True], "auto": [False, True] if mps_here else [False]}[a.mps]
    rows = []
    head = {"bench": "thefts", **{k: getattr(a, k) for k in (
        "device", "thefts", "queries", "epochs", "batch", "arch", "width", "size", "precision")}}
    with tempfile.TemporaryDirectory(prefix="dinf-thefts-") as folder:
        config = write_config(a, folder)
        # the algorithms measured by the first run hold for all
        choices = {"DINF_CUDA_CHOICES": os.path.join(folder, "choices")}
        for mps in kinds:
            for workers in a.workers:
                if workers > 1 and not a.mpirun:
                    result = {"skipped": "there is no mpirun"}
                elif mps and not mps_here:
                    result = {"skipped": "there is no nvidia-cuda-mps-control"}
                elif mps:
                    try:
                        with Mps(folder) as environment:
                            result = measure(a, config, folder, workers, {**choices, **environment})
                    except (OSError, subprocess.SubprocessError) as e:
                        result = {"skipped": f"the multi-process service did not start: {e}"}
                else:
                    result = measure(a, config, folder, workers, choices)
                rows.append({"workers": workers, "mps": mps, **result})
                say(f"{workers} workers{', MPS' if mps else ''}: "
                    + (f"{result['seconds']:.1f} s" if "seconds" in result else result["skipped"]))
                alone = next((r["seconds"] for r in rows
                              if r["workers"] == 1 and not r["mps"] and "seconds" in r), None)
                for r in rows:
                    if alone and "seconds" in r:
                        r["over_one_worker"] = alone / r["seconds"]
                if a.json:
                    with open(a.json + ".new", "w") as f:
                        json.dump({**head, "rows": rows}, f, indent=1)
                        f.write("\n")
                    os.replace(a.json + ".new", a.json)
    print(f"{a.thefts} thefts: {a.arch}, width {a.width:g}, {a.size} px, {a.queries} queries, {a.epochs} epochs, "
          f"batch {a.batch}, InfoNCE, {a.precision}, {a.device}\n")
    print("| workers | MPS | first start to last end [s] | thefts/hour | one theft [s] | over one worker |")
    print("|---:|---|---:|---:|---:|---:|")
    for r in rows:
        mps = "yes" if r["mps"] else "no"
        if "seconds" not in r:
            print(f"| {r['workers']} | {mps} | skipped: {r['skipped']} | | | |")
            continue
        ratio = f"{r['over_one_worker']:.2f}" if "over_one_worker" in r else ""
        print(f"| {r['workers']} | {mps} | {r['seconds']:.1f} | {r['thefts_per_hour']:.0f} "
              f"| {r['seconds_of_a_theft']:.1f} | {ratio} |")
    sys.exit(0 if any("seconds" in r for r in rows) else 1)


if __name__ == "__main__":
    main()
