#!/usr/bin/python3
"""Do the fast tests notice a small wrong change? Makes such changes, one at a time.

usage: run.py [--count N] [--seed S] [--room ROOM]... [--unit] [--only K,K,K] [--apply K]

Places are drawn by the seed from the C sources outside the CUDA device
(places.py says which changes there are). After each change its file is compiled:
what does not compile, or gives the same object code, is not counted. Then the
unit tests of its room run, those of other rooms that depend on it most, and fast
tests of whole commands, until one fails. Everything happens in a copy; on Linux,
as root, tests see nothing of the machine but that copy to write to, and no
process but their own to kill.
"""
import argparse
import concurrent.futures
import difflib
import hashlib
import json
import os
import pathlib
import random
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from copy import copy as shallow

import places

ROOT = pathlib.Path(__file__).resolve().parents[2]
ABOVE = {  # the tests of other rooms that have most to do with a room; its own run first
    "base": "conf.test_conf store.test_result plan.test_journal coord.test_lock coord.test_rundir coord.test_child",
    "conf": "data.test_dataset nn.test_registry plan.test_build", "store": "nn.test_encoder nn.test_resume tasks.test_execute",
    "device": "data.test_augment nn.test_golden nn.test_encoder stats.test_gmm stats.test_linalg stats.test_similarity",
    "data": "nn.test_encoder tasks.test_execute plan.test_build", "nn": "tasks.test_execute tasks.test_registry",
    "stats": "tasks.test_registry", "tasks": "plan.test_build plan.test_schedule", "plan": "coord.test_text coord.test_rundir",
    "coord": "", "cli": ""}
DEVICE = ["device.cpu.1", "device.cpu.2", "device.cpu.avx2"]
COMMANDS = ["e2e.options", "e2e.bad_input", "e2e.evaluations", "e2e.commands"]
WHOLE = {  # of whole commands, those that have most to do with a room
    "device": ["e2e.evaluations"], "nn": ["e2e.options", "e2e.evaluations", "e2e.weights"],
    "stats": ["e2e.options", "e2e.evaluations", "e2e.commands"], "conf": COMMANDS[:3], "store": COMMANDS[2:],
    "tasks": COMMANDS[:3], "plan": COMMANDS[:3], "coord": ["e2e.status", "e2e.evaluations", "e2e.contents"],
    "cli": ["e2e.options", "e2e.text", "e2e.status", *COMMANDS[1:], "mpi.task", "mpi.status", "mpi.changed", "mpi.usage"]}
RANKS = [f"mpi.{t}" for t in "ranks failures usage task limit elsewhere lock files changed crowd aside leftovers retries "
                             "messages status saved binding frozen silence stop".split()]


class Copy:
    """A copy of the sources that is built and may be spoilt."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.tmp = self.folder / "tmp"
        self.tmp.mkdir(parents=True, exist_ok=True)
        names = subprocess.check_output(["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=ROOT)
        for name in filter(None, names.decode().split("\0")):
            source, target = ROOT / name, self.folder / name
            if source.is_file() and not (target.is_file() and target.read_bytes() == source.read_bytes()):
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, target)
                os.utime(target)  # newer than what was built of it
        self.make("build")

    def sanitized(self):
        """The same sources in a build that sees memory errors and undefined behaviour."""
        other = shallow(self)
        other.make("build-sanitize", "address,undefined", "dinf_unit_tests")
        # gcc 12's AddressSanitizer does not start where a kernel spreads addresses wider than it knows
        other.calm = ["setarch", os.uname().machine, "-R"]
        return other

    def make(self, build, sanitizers="", *targets):
        self.build = self.folder / build
        self.calm = []
        quick = ["-DCMAKE_C_COMPILER_LAUNCHER=ccache"] if shutil.which("ccache") else []
        quick += ["-DCMAKE_EXE_LINKER_FLAGS=-fuse-ld=gold"] if shutil.which("ld.gold") else []
        self.call(["cmake", "-S", self.folder, "-B", self.build, "-G", "Ninja", "-DDINF_CUDA=OFF",
                   f"-DDINF_SANITIZE={sanitizers}", *quick])
        self.ninja(*targets)  # ctest names the commands of what is built alone
        commands = json.loads((self.build / "compile_commands.json").read_text())
        self.compile = {os.path.relpath(c["file"], self.folder): shlex.split(c["command"]) for c in commands}
        listed = subprocess.run(["ctest", "--show-only=json-v1"], cwd=self.build, capture_output=True, check=True)
        self.tests = {}
        for t in json.loads(listed.stdout)["tests"]:
            env = {p["name"]: p["value"] for p in t.get("properties", [])}.get("ENVIRONMENT", [])
            if "command" in t:  # it is built
                self.tests[t["name"]] = t["command"], dict(e.split("=", 1) for e in env)

    def call(self, command):
        done = subprocess.run(list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode != 0:
            sys.exit(f"{' '.join(map(str, command))}:\n{done.stdout[-4000:]}")

    def ninja(self, *targets):
        self.call(["ninja", "-C", self.build, "-j2", *targets])

    def object(self, source):
        """A digest of the file's object code; None if it does not compile."""
        command = list(self.compile[source])
        out = self.tmp / "mutant.o"
        command[command.index("-o") + 1] = str(out)
        command += ["-Werror=incompatible-pointer-types", "-Werror=int-conversion", "-w"]
        done = subprocess.run(command, cwd=self.build, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return hashlib.sha256(out.read_bytes()).hexdigest() if done.returncode == 0 else None

    def alone(self, command):
        """The command in name spaces of its own, where that is allowed; /tmp is memory, where fsync costs nothing."""
        if not hasattr(self, "boxed"):
            trial = self.alone_words(["true"])
            self.boxed = os.geteuid() == 0 and subprocess.run(trial, stderr=subprocess.DEVNULL).returncode == 0
            if not self.boxed:
                print("tests run unprotected here: a change near kill() or unlink() may do harm", file=sys.stderr)
        return self.alone_words(command) if self.boxed else command

    def alone_words(self, command):
        here = shlex.quote(str(self.folder))
        box = (f"mount --bind {here} /mnt && mount -t tmpfs -o size=4g tmpfs /tmp && mkdir -p {here} && "
               f'mount --bind /mnt {here} && mount -o remount,bind,ro / && cd {here} && exec "$@"')
        return ["unshare", "--pid", "--fork", "--kill-child", "--mount", "--mount-proc", "sh", "-c", box, "sh", *command]

    def test(self, name, limit):
        """How a test ended: None if it passed."""
        command, more = self.tests[name]
        env = {**os.environ, **more, "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive"}
        log = open(self.tmp / f"{name}.log", "wb+")
        command = ["prlimit", "--fsize=4000000000", "--core=0", *self.calm, *self.alone(command)]
        p = subprocess.Popen(command, cwd=self.folder, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                             start_new_session=True)
        try:
            code = p.wait(limit)
            how = None if code in (0, 77) else f"{name}"
        except subprocess.TimeoutExpired:
            how = f"{name} (time)"
        try:
            os.killpg(p.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        p.wait()
        log.close()
        if not how:
            os.remove(log.name)
        return how


def stages(copy, room):
    """Tests in the order in which they run, in groups that are built together."""
    own = [t for t in copy.tests if t.startswith(f"unit.{room}.")]
    far = [f"unit.{t}" for t in ABOVE[room].split()]
    unit = [own + (DEVICE if room == "device" else []), far]
    whole = WHOLE.get(room, COMMANDS)
    if room == "coord":
        return unit + [RANKS, whole]
    return unit + [whole] + ([RANKS[:4]] if room in ("plan", "tasks", "base") else [])


def target(copy, name):
    command = copy.tests[name][0]
    inside = [os.path.relpath(w, copy.build) for w in command if w.startswith(str(copy.build) + "/")]
    return inside[0] if inside else "dinf"


def killer(copy, room, usual, unit):
    """The first test that fails, or None."""
    return killer_among(copy, stages(copy, room)[: 2 if unit else None], usual, 1)


def killer_among(copy, groups, usual, slower):
    for group in groups:
        group = [t for t in group if t in usual and t in copy.tests]
        if not group:
            continue
        copy.ninja(*sorted({target(copy, t) for t in group}))
        parallel = sorted((t for t in group if not t.startswith("mpi.")), key=usual.get)
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            ended = []

            def one(t):
                if not ended:
                    how = copy.test(t, 30 + 8 * slower * usual[t])
                    if how:
                        ended.append(how)

            list(pool.map(one, parallel))
        if ended:
            return ended[0]
        for t in (t for t in group if t.startswith("mpi.")):
            how = copy.test(t, 60 + 5 * usual[t])
            if how and copy.test(t, 60 + 5 * usual[t]):  # they have deadlines: twice, to be sure
                return how
    return None


def drawn(seed, rooms):
    """Candidates (source, kind, begin, end, replacement) without end, by the seed."""
    found = {}
    for path in sorted((ROOT / "src").glob("*/**/*.c")):
        source = str(path.relative_to(ROOT))
        if "/device/cuda" in source or (rooms and source.split("/")[1] not in rooms):
            continue
        for kind, *place in places.places(path.read_text()):
            found.setdefault(kind, []).append((source, kind, *place))
    rng = random.Random(seed)
    while any(found.values()):
        kinds = [k for k in places.WEIGHTS if found.get(k)]
        kind = rng.choices(kinds, [places.WEIGHTS[k] for k in kinds])[0]
        yield found[kind].pop(rng.randrange(len(found[kind])))


def mutated(text, place):
    source, kind, begin, end, new = place
    return text[:begin] + new + text[end:]


def diff(text, place):
    lines = (t.splitlines(True) for t in (text, mutated(text, place)))
    return "".join(difflib.unified_diff(*lines, f"a/{place[0]}", f"b/{place[0]}", n=2))


def described(text, place):
    source, kind, begin, end, new = place
    line = text.count("\n", 0, begin) + 1
    def one(s):
        return " ".join(s.split())[:60]
    return f"{source}:{line}", f"{kind}: {one(text[begin:end])!r} -> {one(new)!r}"


def table(rows):
    """Lines of counts by room: rows of (room, killed)."""
    print(f"{'room':8} {'counted':>8} {'noticed':>8} {'survived':>9}")
    for room in sorted({r for r, _ in rows}) + ["all"]:
        mine = [k for r, k in rows if room in (r, "all")]
        print(f"{room:8} {len(mine):8} {sum(mine):8} {len(mine) - sum(mine):9}   {100 * sum(mine) / max(1, len(mine)):.0f} %")


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--count", type=int, default=20, help="changes that compile to other code (20)")
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--room", action="append", help="this room alone; may be repeated")
    p.add_argument("--only", help="these candidates of the seed alone, as K,K,K")
    p.add_argument("--apply", type=int, metavar="K", help="print candidate K as a diff, and do nothing else")
    p.add_argument("--folder", help="where the copy is made and kept (a temporary folder that is removed)")
    p.add_argument("--unit", action="store_true", help="no tests of whole commands: a first look")
    p.add_argument("--warm", action="store_true", help="all tests passed in the --folder when it was last used")
    p.add_argument("--minutes", type=float, default=1e9, help="begin no further change after so long")
    a = p.parse_args()
    sys.stdout.reconfigure(line_buffering=True)
    only = {int(k) for k in a.only.split(",")} if a.only else None
    candidates = enumerate(drawn(a.seed, a.room))
    if a.apply is not None:
        place = next(c for k, c in candidates if k == a.apply)
        return print(diff((ROOT / place[0]).read_text(), place), end="")
    os.nice(10)
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="dinf-mutation.") as temporary:
        copy = Copy(a.folder or temporary)
        checked = None if a.unit else copy.sanitized()
        usual, rows, unchanged = {}, [], {}
        tests = sorted({t for r in a.room or ABOVE for g in stages(copy, r) for t in g} & set(copy.tests))
        times = copy.folder / "times.json"
        if a.warm:
            usual = json.loads(times.read_text())
        for t in tests:
            before = time.monotonic()
            how = None if t in usual else copy.test(t, 900)
            if how and t.startswith("mpi."):
                how = copy.test(t, 900)
            if how:
                print(f"left out, as it fails without any change: {how}")
                continue
            usual.setdefault(t, time.monotonic() - before)
            times.write_text(json.dumps(usual))
        print(f"{len(usual)} tests pass without a change, in {sum(usual.values()):.0f} s")
        for k, place in candidates:
            if len(rows) == a.count or time.monotonic() - begun > 60 * a.minutes or (only and k > max(only)):
                break
            if only and k not in only:
                continue
            source = place[0]
            path = copy.folder / source
            text = path.read_text()
            if source not in unchanged:
                unchanged[source] = copy.object(source)
            since = time.monotonic()
            try:
                path.write_text(mutated(text, place))
                code = copy.object(source)
                if code is None or code == unchanged[source]:
                    continue
                by = killer(copy, source.split("/")[1], usual, a.unit)
                if by is None and checked:
                    by = killer_among(checked, stages(copy, source.split("/")[1])[:2], usual, 4)
                    if by:  # without the change it passes there, too
                        path.write_text(text)
                        test = by.split()[0]
                        checked.ninja(target(checked, test))
                        by = None if checked.test(test, 900) else by + ", sanitized"
            finally:
                path.write_text(text)
            rows.append((source.split("/")[1], by is not None))
            where, what = described(text, place)
            print(f"{k:4} {where:38} {f'noticed by {by}' if by else 'SURVIVED':44} {what}  ({time.monotonic() - since:.0f} s)")
        table(rows)


if __name__ == "__main__":
    main()
