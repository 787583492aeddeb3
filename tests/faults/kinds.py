"""The kinds of injection. Each is a function that starts the campaign's command, disturbs it at a random moment,
removes the cause, and says what it did; faults.py gives the command again and judges."""
import errno
import glob
import os
import resource
import shutil
import signal
import subprocess
import time

import mounts
import processes
from damage import damage
from injector import Injector, error_name

KINDS = {}  # name -> (function, configs)
ALL = ("campaign", "mock", "campaign", "mock", "checkpoints")
DATA = ("campaign", "campaign", "checkpoints")


class Skipped(Exception):
    """This kind cannot be done here."""


class NoEffect(Exception):
    """What was to be disturbed did not come."""


def kind(name, configs=ALL, **bound):
    def add(function):
        KINDS[name] = (lambda i: function(i, **bound), configs)
        return function
    return add


# --- signals ------------------------------------------------------------------

def send(i, attempt, role, number):
    """To one process of this role, or to all."""
    if role == "all":
        targets = processes.find(i.c.mark)
    else:
        if role == "mpirun" and i.c.ranks == 1 or role == "worker" and i.c.ranks == 1:
            role = "rank 0"
        target = i.c.find(i.rng, attempt, role)
        targets = [target] if target else []
    if not any([t.send(number) for t in targets]):
        raise NoEffect(f"no {role}")
    return targets


@kind("kill child", role="child")
@kind("kill worker", role="worker")
@kind("kill rank 0", role="rank 0")
@kind("kill mpirun", role="mpirun")
@kind("kill all", role="all")
def kill(i, role):
    a = i.c.start()
    when = i.c.moment(i.rng, a)
    i.signalled = role != "child"
    send(i, a, role, signal.SIGKILL)
    i.c.wait(a)
    return f"SIGKILL to {role} {when}"


@kind("SIGTERM", numbers=(signal.SIGTERM,))
@kind("SIGINT", numbers=(signal.SIGINT,))
@kind("SIGUSR1", numbers=(signal.SIGUSR1,))
@kind("SEGV, ABRT, BUS, HUP, PIPE", numbers=(signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGHUP, signal.SIGPIPE))
def other_signal(i, numbers):
    a = i.c.start()
    when = i.c.moment(i.rng, a)
    role, number = i.rng.choice(("child", "worker", "rank 0", "mpirun", "all")), i.rng.choice(numbers)
    i.signalled = role != "child"
    i.asked = i.signalled and number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)
    send(i, a, role, number)
    i.c.wait(a)
    return f"{number.name} to {role} {when}"


@kind("signals, many")
def storm(i):
    a = i.c.start()
    when = i.c.moment(i.rng, a)
    i.signalled = i.asked = True
    n = i.rng.randint(3, 15)
    for _ in range(n):
        role = i.rng.choice(("worker", "rank 0", "mpirun", "all"))
        try:
            send(i, a, role, i.rng.choice((signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)))
        except NoEffect:
            break
        time.sleep(i.rng.random() * 0.1)
    i.c.wait(a)
    return f"{n} signals {when}"


@kind("STOP, CONT")
def stop_cont(i):
    a = i.c.start()
    when = i.c.moment(i.rng, a)
    role, pause = i.rng.choice(("child", "worker", "rank 0", "mpirun", "all")), i.rng.uniform(0.2, 4)
    targets = send(i, a, role, signal.SIGSTOP)
    time.sleep(pause)
    for t in targets:
        t.send(signal.SIGCONT)
    i.c.wait(a)
    return f"{role} stopped for {pause:.1f} s {when}"


@kind("frozen worker")
def frozen_worker(i):
    i.c.options += ["--silence", "5"]
    i.c.ranks = 3
    a = i.c.start()
    when = i.c.moment(i.rng, a)
    target = send(i, a, "worker", signal.SIGSTOP)[0]
    i.c.wait(a)
    target.send(signal.SIGCONT)
    return f"a worker stopped for good {when}"


@kind("frozen child", configs=("mock",))
def frozen_child(i):
    a = i.c.start()
    when = i.c.moment(i.rng, a)
    send(i, a, "child", signal.SIGSTOP)
    i.c.wait(a)
    return f"a child stopped for good {when}"


@kind("kill collect")
def kill_collect(i):
    a = i.c.start()
    send(i, a, "collect", i.rng.choice((signal.SIGKILL, signal.SIGSEGV)))
    i.c.wait(a)
    return "SIGKILL or SIGSEGV to collect"


# --- the system is short of something -----------------------------------------

def preload(i, calls):
    if not i.c.setup.injector:
        raise Skipped("no injector was built")
    return Injector(i.c.setup.injector, i.c.folder, calls)


@kind("disk full", calls=("create", "write", "mkdir", "symlink"), error=errno.ENOSPC)
@kind("turned read-only", calls=("create", "write", "mkdir", "symlink", "rename", "unlink"), error=errno.EROFS)
def storage(i, calls, error):
    """From a moment on, for some seconds or for good."""
    page = preload(i, calls)
    a = i.c.start(environment=page.environment)
    when = i.c.moment(i.rng, a)
    page.fail_now(error)
    lasts = i.rng.uniform(0.2, 4) if i.rng.random() < 0.5 else None
    if lasts:
        end = time.monotonic() + lasts
        while a.running() and time.monotonic() < end:
            time.sleep(0.01)
        page.rest()
    i.c.wait(a)
    if page.get("hits") == 0:
        raise NoEffect("nothing was written after that")
    return f"{error_name(error)} {when}, {f'for {lasts:.1f} s' if lasts else 'for good'}"


@kind("small file system")
def small_file_system(i):
    """A real one; it is larger at the next command."""
    try:
        mounts.own()
        os.makedirs(i.c.dir)
        size = sum(os.path.getsize(os.path.join(w, f)) for w, _, files in os.walk(i.c.reference) for f in files)
        size = int(size * i.rng.uniform(0.02, 0.8)) & ~4095
        mounts.small(i.c.dir, max(size, 4096))
    except mounts.Refused as e:
        raise Skipped(str(e))
    if i.c.run() == 0:
        raise NoEffect("it was large enough")
    mounts.grow(i.c.dir)
    return f"{size} bytes"


@kind("read-only at the start")
def read_only_start(i):
    i.interrupted()
    try:
        mounts.own()
        mounts.read_only(i.c.dir)
    except mounts.Refused as e:
        raise Skipped(str(e))
    i.must_fail()
    mounts.writable(i.c.dir)
    return "the run directory is mounted read-only"


@kind("ulimit -f", what="fsize", values=(4 << 10, 16 << 10, 64 << 10, 128 << 10, 256 << 10))
@kind("ulimit -v", what="as", values=(100 << 20, 200 << 20, 300 << 20, 400 << 20, 800 << 20))
@kind("ulimit -n", what="nofile", values=(4, 8, 12, 16, 24, 32))
def limits(i, what, values):
    """MPI within the ranks is subject to them, too, and has its own ways to end. What could not be loaded for want of
    memory is not named in results.h5, so that the command is always given again."""
    value = i.rng.choice(values)
    i.signalled = i.unfinished = True
    i.c.run(prefix=("prlimit", f"--{what}={value}", "--"))
    return f"{value}"


@kind("child out of memory", configs=DATA)
def child_memory(i):
    a = i.c.start()
    when = i.c.moment(i.rng, a)
    child, room = i.c.find(i.rng, a, "child"), i.rng.choice((0, 1 << 20, 16 << 20))
    if child is None:
        raise NoEffect("no child")
    try:
        resource.prlimit(child.pid, resource.RLIMIT_AS, (child.memory + room,) * 2)
    except ProcessLookupError:
        raise NoEffect("the child had ended")
    i.c.wait(a)
    return f"a child has {room >> 20} MiB more and no further {when}"


CALLS = {
    "open": (("open", "create"), (errno.EMFILE, errno.ENFILE, errno.EIO, errno.EACCES, errno.EINTR, errno.ENOMEM)),
    "write": (("write",), (errno.EIO, errno.ENOSPC, errno.EDQUOT, errno.EINTR, errno.EAGAIN, 0)),
    "fsync": (("fsync",), (errno.EIO, errno.ENOSPC, errno.EINTR)),
    "rename": (("rename",), (errno.EIO, errno.ENOSPC, errno.EROFS, errno.EACCES)),
    "spawn": (("spawn",), (errno.EAGAIN, errno.ENOMEM, errno.EMFILE)),
    "read": (("read",), (errno.EIO, errno.EINTR, errno.EAGAIN)),
    "mmap": (("mmap",), (errno.ENOMEM, errno.EAGAIN, errno.ENODEV)),
    "mkdir, unlink, link": (("mkdir", "unlink", "symlink"), (errno.EIO, errno.EACCES, errno.ENOSPC)),
}


def failing_call(i, call):
    """One, some or all from a moment on, counted over all processes."""
    calls, errors = CALLS[call]
    page = preload(i, calls)
    error, count = i.rng.choice(errors), i.rng.choice((1, 1, 2, 3, 20, 1 << 40))
    if error == errno.EINTR:  # no signal comes for ever: to try again is right
        count = min(count, 20)
    a = i.c.start(environment=page.environment)
    when = i.c.moment(i.rng, a, 0.5 if call == "mmap" else 1)
    page.fail(error, page.get("seen") + 1, count)
    i.c.wait(a)
    if page.get("hits") == 0:
        raise NoEffect("no such call after that")
    return f"{error_name(error)}, {page.get('hits')} calls {when}"


for _name in CALLS:
    kind(f"{_name} fails", DATA if _name == "mmap" else ALL, call=_name)(failing_call)


@kind("clock jumps")
def clock(i):
    page = preload(i, ())
    a = i.c.start(environment=page.environment)
    jumps = [i.rng.choice((1, -1)) * i.rng.choice((10, 3600, 86400, 315360000)) for _ in range(i.rng.randint(1, 3))]
    when = i.c.moment(i.rng, a)
    for jump in jumps:
        page.set(jump=jump)
        time.sleep(i.rng.random())
    i.c.wait(a)
    return f"by {', '.join(map(str, jumps))} s {when}"


# --- files --------------------------------------------------------------------

def spoil(i, pattern, ways, most=1):
    files = sorted(glob.glob(f"{i.c.dir}/{pattern}"))
    if not files:
        raise NoEffect(f"no {pattern} yet")
    return ", ".join(damage(f, i.rng, ways) for f in i.rng.sample(files, min(len(files), i.rng.randint(1, most))))


CONTENT = ("truncated", "bits flipped", "zeroed", "emptied", "deleted", "exchanged")
TEXT = ("truncated", "bits flipped", "zeroed", "with foreign bytes", "emptied", "deleted", "a folder")


@kind("result .h5", configs=DATA, pattern="tasks/*.h5", ways=CONTENT + ("a folder",), most=3)
@kind("weights", configs=DATA, pattern="tasks/*.safetensors", ways=CONTENT + ("a folder",), most=2)
@kind("results.h5", pattern="results.h5", ways=TEXT)
@kind("journal", pattern="journal.jsonl", ways=TEXT)
@kind("plan.json", pattern="plan.json", ways=TEXT)
@kind("status.json", pattern="status.json", ways=TEXT)
@kind("lock, config.cfg", pattern="[lc]o[cn][kf]*", ways=TEXT[:-1])
def damaged(i, pattern, ways, most=1):
    """Between two commands: after the end, or after an interruption."""
    if i.rng.random() < 0.4:
        i.c.finished()
        where = "after the end"
    else:
        where = i.interrupted(lambda: glob.glob(f"{i.c.dir}/{pattern}"))
    return f"{spoil(i, pattern, ways, most)}, {where}"


@kind("checkpoint", configs=("checkpoints",))
def checkpoint(i):
    where = i.interrupted(lambda: glob.glob(f"{i.c.dir}/work/*/*.safetensors"), 0.4)
    return f"{spoil(i, 'work/*/*.safetensors', CONTENT + ('a folder',), 2)}, {where}"


@kind("plan.json of another", configs=("mock",))
def foreign_plan(i):
    i.interrupted()
    shutil.copyfile(f"{i.c.dir}/plan.json", f"{i.c.folder}/kept")
    shutil.copyfile(f"{i.c.setup.references}/campaign/plan.json", f"{i.c.dir}/plan.json")
    i.must_fail()
    shutil.copyfile(f"{i.c.folder}/kept", f"{i.c.dir}/plan.json")
    return "another campaign's plan, then the right one"


@kind("damage while it runs")
def damaged_live(i):
    """What was read before and is damaged afterwards is found by the next command, not by this."""
    i.once_more = True
    a = i.c.start()
    when = i.c.moment(i.rng, a)
    pattern = i.rng.choice(("tasks/*.h5", "tasks/*.safetensors", "work/*/*.safetensors", "journal.jsonl", "plan.json",
                            "status.json", "results.h5"))
    while a.running() and not glob.glob(f"{i.c.dir}/{pattern}"):
        time.sleep(0.01)
    try:
        what = spoil(i, pattern, CONTENT)
    except (FileNotFoundError, OSError) as e:  # renamed or removed just now
        raise NoEffect(str(e))
    finally:
        i.c.wait(a)
    return f"{what} {when}"


@kind("data set changed", configs=DATA)
def data_changed(i):
    """Other bytes, the same size and time; the old ones are put back afterwards."""
    path = f"{i.c.folder}/images.npy"
    with open(path, "rb") as f:
        old = f.read()
    t = os.stat(path)
    begin = i.rng.randrange(128, len(old) - 1)
    other = old[:begin] + bytes(255 - b for b in old[begin:])

    def put(data):
        with open(path, "wb") as f:
            f.write(data)
        os.utime(path, ns=(t.st_atime_ns, t.st_mtime_ns))

    if i.rng.random() < 0.7:
        a = i.c.start()
        when = i.c.moment(i.rng, a)
        put(other)
        i.c.wait(a)
    else:
        i.unfinished = True
        when = i.interrupted()
        put(other)
        i.c.run()
    put(old)
    return f"from byte {begin} on, {when}"


@kind("folders removed")
def removed(i):
    name = i.rng.choice(("tasks", "work", "logs", "encoders", "."))
    path = os.path.normpath(f"{i.c.dir}/{name}")
    if i.rng.random() < 0.6:
        i.once_more = True
        a = i.c.start()
        when = i.c.moment(i.rng, a)
        while a.running() and not os.path.isdir(path):
            time.sleep(0.01)
        shutil.rmtree(path, ignore_errors=True)
        i.c.wait(a)
    else:
        when = i.interrupted()
        shutil.rmtree(path, ignore_errors=True)
    return f"{name} {when}"


@kind("moved away and back")
def moved(i):
    a = i.c.start()
    when = i.c.moment(i.rng, a)
    while a.running() and not os.path.isdir(i.c.dir):
        time.sleep(0.01)
    os.rename(i.c.dir, f"{i.c.folder}/elsewhere")
    if i.rng.random() < 0.5:
        time.sleep(i.rng.random())
    else:
        i.c.wait(a)
    while os.path.exists(f"{i.c.folder}/elsewhere"):
        shutil.rmtree(i.c.dir, ignore_errors=True)
        try:
            os.rename(f"{i.c.folder}/elsewhere", i.c.dir)
        except OSError:  # the run has made it anew
            time.sleep(0.01)
    i.c.wait(a)
    return when


@kind("permissions taken")
def permissions(i):
    if os.getuid() == 0:
        raise Skipped("root may do everything")
    a = i.c.start()
    when = i.c.moment(i.rng, a)
    name = i.rng.choice(("tasks", "work", "logs", "."))
    path = f"{i.c.dir}/{name}"
    while a.running() and not os.path.isdir(path):
        time.sleep(0.01)
    os.chmod(path, 0o500)
    i.c.wait(a)
    os.chmod(path, 0o755)
    return f"{name} {when}"


# --- people -------------------------------------------------------------------

@kind("two runs at a time")
def two_runs(i):
    a = i.c.start()
    when = i.c.moment(i.rng, a)
    b = i.c.start()
    if i.rng.random() < 0.4:
        i.signalled = True
        time.sleep(i.rng.random())
        a.process.kill()
        when += ", the first is killed"
    i.c.wait(b)
    i.c.wait(a)
    return f"a second {when}"


@kind("other commands beside it")
def beside(i):
    a = i.c.start()
    when, n = i.c.moment(i.rng, a), 0
    while a.running() and n < 12:
        ids = sorted(os.path.basename(p)[:-3] for p in glob.glob(f"{i.c.dir}/tasks/*.h5")) or ["none"]
        words = i.rng.choice((["collect", i.c.dir], ["status", i.c.dir], ["task", i.c.dir, i.rng.choice(ids)]))
        subprocess.run([i.c.setup.dinf, *words], cwd=i.c.folder, env=i.c.environment(), stdin=subprocess.DEVNULL,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=i.c.limit)
        n += 1
    i.c.wait(a)
    return f"{n} of collect, status, task {when}"


@kind("closed descriptors")
def closed(i):
    which = i.rng.choice(((0,), (1,), (2,), (0, 1), (1, 2), (0, 1, 2)))

    def close():
        for fd in which:
            os.close(fd)

    i.silent = 2 in which
    i.c.run(before=close, launched=False)
    return f"{which}"


@kind("reader gone")
def reader_gone(i):
    """mpirun may die of it."""
    i.signalled = True
    r, w = os.pipe()
    a = i.c.start(stdout=w, stderr=w)
    os.close(w)
    lines = i.rng.randrange(8)
    with os.fdopen(r, "rb") as f:
        for _ in range(lines):
            f.readline()
    i.c.wait(a)
    return f"after {lines} lines"


CHANGES = {
    "campaign": ("encoders.victim.train.epochs=9", "encoders.other.train.epochs=3", "campaign.seed=6",
                 "campaign.retries=2", "evaluate.dataset_inference.components=3"),
    "checkpoints": ("encoders.victim.train.epochs=20", "campaign.retries=2"),
    "mock": ("mock.a.count=6", "mock.b.count=2", "mock.c.seconds=0.02"),
}


@kind("config changed")
def config_changed(i):
    """And changed back, before or after the end of what it meant."""
    i.unfinished = True
    first = i.interrupted()
    change = i.rng.choice(CHANGES[i.c.config])
    a = i.c.start(options=["--set", change])
    if i.rng.random() < 0.5:
        i.c.moment(i.rng, a)
        i.signalled = True
        i.c.kill(a)
    else:
        i.c.wait(a)
    return f"{first}, then {change}"


@kind("config broken")
def config_broken(i):
    where = i.interrupted()
    path = f"{i.c.folder}/{i.c.config}.cfg"
    shutil.copyfile(path, f"{i.c.folder}/kept")
    with open(path, "rb") as f:
        text = f.read().rstrip()
    with open(path, "wb") as f:
        f.write(text[:i.rng.randrange(text.index(b"=") + 1, len(text) - 3)])
    i.must_fail(2)
    shutil.copyfile(f"{i.c.folder}/kept", path)
    return f"cut short, {where}"


@kind("losses not finite", configs=("campaign",))
def not_finite(i):
    """From weights that overflow in the first layer; the config is put right afterwards."""
    with open(f"{i.c.reference}/encoders/victim.safetensors", "rb") as f:
        size = int.from_bytes(f.read(8), "little")
        head, data = f.read(size), f.read()
    import numpy as np
    values = np.frombuffer(data, "<f4", len(data) // 4) * np.float32(10.0 ** i.rng.randint(24, 30))
    with open(f"{i.c.folder}/huge.safetensors", "wb") as f:
        f.write(size.to_bytes(8, "little") + head + values.astype("<f4").tobytes() + data[len(data) // 4 * 4:])
    i.must_fail(1, options=["--set", "encoders.victim.train.init=huge.safetensors"])
    return "initial weights times 1e24 and more"
