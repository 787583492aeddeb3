"""The processes of one run, found by a mark in their environment, and what each of them is."""
import os
import signal
import time

MARK = "DINF_FAULTS_MARK"


class Process:
    def __init__(self, pid, role, state, memory):
        self.pid, self.role, self.state, self.memory = pid, role, state, memory

    def send(self, number):
        try:
            os.kill(self.pid, number)
            return True
        except ProcessLookupError:
            return False


def _read(pid, name):
    with open(f"/proc/{pid}/{name}", "rb") as f:
        return f.read()


def _role(words, environment):
    if b"mpirun" in os.path.basename(words[0]) or b"orterun" in os.path.basename(words[0]):
        return "mpirun"
    for command, role in ((b"task", "child"), (b"collect", "collect")):
        if command in words[1:2]:
            return role
    if b"run" not in words[1:4]:  # a script in the program's place has an interpreter before it
        return "other"
    rank = environment.get(b"OMPI_COMM_WORLD_RANK", b"0")
    return "rank 0" if rank == b"0" else "worker"


def find(mark):
    """Those that carry the mark and live (zombies do not)."""
    found, wanted = [], f"{MARK}={mark}".encode()
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            environment = _read(pid, "environ").split(b"\0")
            if wanted not in environment:
                continue
            words = _read(pid, "cmdline").split(b"\0")
            state = _read(pid, "stat").rpartition(b")")[2].split()
            if state[0] in (b"Z", b"X"):
                continue
            table = dict(e.partition(b"=")[::2] for e in environment)
            found.append(Process(int(pid), _role(words, table), state[0].decode(), int(state[20])))
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
    return found


def end_all(mark):
    """Kills whatever is left; how many there were."""
    count = 0
    for _ in range(50):
        left = find(mark)
        count = max(count, len(left))
        if not left:
            break
        for p in left:
            p.send(signal.SIGKILL)
        time.sleep(0.05)
    return count


def gone(mark, seconds):
    """Waits for all to end; those that do not."""
    end = time.monotonic() + seconds
    while (left := find(mark)) and time.monotonic() < end:
        time.sleep(0.1)
    return left
