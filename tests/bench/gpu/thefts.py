#!/usr/bin/env python3
"""Thefts that share a GPU: how long 16 of them take, one after another and several at a time.

    thefts.py --dinf build/dinf [--device cuda] [--workers 1 2 4 8] [--mps no|yes] [--thefts 16]
              [--queries 5000] [--epochs 20] [--precision bf16] [--mpirun "mpirun ..."] [--json FILE] [--baseline FILE]

A victim is trained briefly on procedural images, asked about `queries` images and stolen `thefts` times
(equal but for their learning rates) by as many worker ranks as told; rank 0 only coordinates. Time is the
journal's, from the first theft's start to the last one's end; each run has a directory of its own. A short
campaign of one theft goes first, so that no measured one looks for algorithms. One worker is measured before
the others and after them; the faster counts.
--mps yes: with NVIDIA's multi-process service, which is started and stopped here. --baseline: an earlier --json
whose figure of one worker without the service is compared with; else it is measured here.
--json is written again after every run; what it has of the same sizes is not measured again."""
import argparse
import json
import os
import shlex
import shutil
import signal
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
            epochs = {epochs}; batch = {batch}; precision = "{precision}"; }} );
"""
SIZES = ("device", "thefts", "queries", "epochs", "batch", "arch", "width", "size", "precision")
MPS_FOLDERS = ("/usr/bin", "/usr/local/nvidia/bin", "/usr/local/cuda/bin", "/opt/nvidia/bin", "/usr/lib/nvidia/current")


def say(text):
    print(text, file=sys.stderr, flush=True)


def default_mpirun():
    found = shutil.which("mpirun")
    return f"{found} -q --oversubscribe --bind-to none --mca btl_vader_single_copy_mechanism none" if found else ""


def find_mps():
    return shutil.which("nvidia-cuda-mps-control", path=os.pathsep.join([os.environ.get("PATH", ""), *MPS_FOLDERS]))


def write_configs(a, folder):
    """The campaign, and a short one of a single theft with the same shapes."""
    members = min(a.queries, 2000)
    images = os.path.join(folder, "images")
    subprocess.run([a.dinf, "generate", "--out", images, "--count", str(members + a.queries)], check=True,
                   stdout=subprocess.DEVNULL)
    for name, thefts, epochs in (("thefts.cfg", a.thefts, a.epochs), ("warm.cfg", 1, 1)):
        rates = ", ".join(f"{1e-3 * (1 + i / 100):.6g}" for i in range(thefts))
        with open(os.path.join(folder, name), "w") as f:
            f.write(CONFIG.format(**{**vars(a), "folder": images, "members": members, "rates": rates,
                                     "epochs": epochs}))


class Mps:
    """The multi-process service with its pipes in `folder`; processes started inside use it."""

    def __init__(self, folder):
        self.control = find_mps()
        self.environment = {"CUDA_MPS_PIPE_DIRECTORY": os.path.join(folder, "mps"),
                            "CUDA_MPS_LOG_DIRECTORY": os.path.join(folder, "mps-log")}

    def __enter__(self):
        for path in self.environment.values():
            os.makedirs(path, exist_ok=True)
        subprocess.run([self.control, "-d"], env={**os.environ, **self.environment}, check=True, timeout=30)
        return self.environment

    def __exit__(self, *_):
        try:
            subprocess.run([self.control], input="quit\n", text=True, timeout=30,
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


def environment_of(extra):
    """mpirun does not start as root unless it is told twice."""
    root = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"} if os.geteuid() == 0 else {}
    return {**os.environ, **root, "DINF_PROGRESS": "plain", **extra}


def campaign(a, config, folder, workers, environment):
    """Runs it in folder/run; the command, and why it failed or None."""
    out = os.path.join(folder, "run")
    shutil.rmtree(out, ignore_errors=True)
    command = (shlex.split(a.mpirun) + ["-n", str(workers + 1)] if a.mpirun else [])
    command += [a.dinf, "run", os.path.join(folder, config), "--out", out]
    log = os.path.join(folder, "log")
    with open(log, "w") as f:
        status = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=f, stderr=subprocess.STDOUT,
                                env=environment_of(environment)).returncode
    if status == 0:
        return command, None
    with open(log) as f:
        return command, f"status {status}: " + " / ".join(f.read().strip().splitlines()[-3:])


def measure(a, folder, workers, environment):
    if workers > 1 and not a.mpirun:
        return {"skipped": "there is no mpirun"}
    command, why = campaign(a, "thefts.cfg", folder, workers, environment)
    if why:
        return {"skipped": why}
    thefts, times = steal_times(os.path.join(folder, "run"))
    if len(times) != len(thefts) or len(thefts) != a.thefts:
        return {"skipped": f"{len(times)} thefts done of {len(thefts)} planned, {a.thefts} wanted"}
    seconds = max(t[1] for t in times) - min(t[0] for t in times)
    return {"seconds": seconds, "thefts_per_hour": 3600 * len(times) / seconds,
            "seconds_of_a_theft": sum(t[2] for t in times) / len(times),
            "command": shlex.join(command).replace(folder, "FOLDER")}


def measure_mps(a, folder, workers, environment):
    if find_mps() is None:
        return {"skipped": "there is no nvidia-cuda-mps-control"}
    try:
        with Mps(folder) as pipes:
            return measure(a, folder, workers, {**environment, **pipes})
    except (OSError, subprocess.SubprocessError) as e:
        return {"skipped": f"the multi-process service did not start: {e}"}


class Rows:
    def __init__(self, a):
        self.path, self.rows = a.json, []
        self.head = {"bench": "thefts", **{k: getattr(a, k) for k in SIZES}}
        self.baseline = self.alone(self.read(a.baseline))
        if self.baseline:
            self.head["baseline"] = self.baseline
        self.rows = [r for r in self.read(a.json) if "seconds" in r]

    def read(self, path):
        """Rows of an earlier file, if its sizes are these."""
        if not path or not os.path.exists(path):
            return []
        with open(path) as f:
            old = json.load(f)
        return old["rows"] if all(old.get(k) == self.head[k] for k in SIZES) else []

    @staticmethod
    def alone(rows):
        """The least time of one worker without the service."""
        return min((r["seconds"] for r in rows if r["workers"] == 1 and not r["mps"] and "seconds" in r), default=None)

    def has(self, key):
        return any((r["workers"], r["mps"], r["turn"]) == key for r in self.rows)

    def add(self, key, result):
        self.rows.append({**dict(zip(("workers", "mps", "turn"), key)), **result})
        alone = self.alone(self.rows) or self.baseline
        for r in self.rows:
            if alone and "seconds" in r:
                r["over_one_worker"] = alone / r["seconds"]
        if self.path:
            with open(self.path + ".new", "w") as f:
                json.dump({**self.head, "rows": self.rows}, f, indent=1)
                f.write("\n")
            os.replace(self.path + ".new", self.path)

    def table(self):
        print("| workers | MPS | first start to last end [s] | thefts/hour | one theft [s] | over one worker |")
        print("|---:|---|---:|---:|---:|---:|")
        for r in self.rows:
            mps = "yes" if r["mps"] else "no"
            if "seconds" not in r:
                print(f"| {r['workers']} | {mps} | skipped: {r['skipped']} | | | |")
                continue
            ratio = f"{r['over_one_worker']:.2f}" if "over_one_worker" in r else ""
            print(f"| {r['workers']} | {mps} | {r['seconds']:.1f} | {r['thefts_per_hour']:.0f} "
                  f"| {r['seconds_of_a_theft']:.1f} | {ratio} |")
        if self.baseline:
            print(f"one worker without the service: {self.baseline:.1f} s, measured before")
        for command in dict.fromkeys(r["command"] for r in self.rows if "command" in r):
            print("$", command)


def plan_of(a, rows):
    """(workers, mps, turn) in the order of measuring; one worker without the service first and last."""
    keys = [(w, a.mps == "yes", 1) for w in a.workers]
    if a.mps == "yes" and rows.baseline is None:
        keys.insert(0, (1, False, 1))
    if (1, False, 1) in keys and len(keys) > 1:
        keys.append((1, False, 2))
    return [k for k in keys if not rows.has(k)]


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--dinf", default="build/dinf")
    p.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    p.add_argument("--workers", nargs="+", type=int, default=[1, 2, 4, 8])
    p.add_argument("--mps", default="no", choices=["yes", "no"])
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
    p.add_argument("--baseline")
    p.add_argument("--json")
    a = p.parse_args()
    a.dinf = os.path.abspath(a.dinf)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # the multi-process service must not be left behind
    rows = Rows(a)
    with tempfile.TemporaryDirectory(prefix="dinf-thefts-") as folder:
        write_configs(a, folder)
        choices = {"DINF_CUDA_CHOICES": os.path.join(folder, "choices")}
        _, why = campaign(a, "warm.cfg", folder, 1, choices)
        if why:
            sys.exit(f"the short campaign failed: {why}")
        for key in plan_of(a, rows):
            workers, mps, _ = key
            result = (measure_mps if mps else measure)(a, folder, workers, choices)
            say(f"{workers} workers{', MPS' if mps else ''}: "
                + (f"{result['seconds']:.1f} s" if "seconds" in result else result["skipped"]))
            rows.add(key, result)
    print(f"{a.thefts} thefts: {a.arch}, width {a.width:g}, {a.size} px, {a.queries} queries, {a.epochs} epochs, "
          f"batch {a.batch}, InfoNCE, {a.precision}, {a.device}\n")
    rows.table()
    measured = {(r["workers"], r["mps"]) for r in rows.rows if "seconds" in r}
    missing = [w for w in a.workers if (w, a.mps == "yes") not in measured]
    if missing or not measured:
        sys.exit(f"no figure of {', '.join(map(str, missing))} workers")


if __name__ == "__main__":
    main()
