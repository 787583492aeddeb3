"""One campaign in a folder of its own: started, watched, given again, compared with an undisturbed run of it."""
import os
import shlex
import shutil
import subprocess
import sys
import time

import processes

HERE = os.path.dirname(os.path.abspath(__file__))
CONFIGS = ("campaign", "checkpoints", "mock")
STOPPED = 75
RESUMES = 6
_INHERITED = ("OMPI_", "PMIX_", "PRTE_", "SLURM_", "PMI_", "DINF_FAULT", "LD_PRELOAD")


class Setup:
    """What all injections share: the program, the launcher, the undisturbed runs."""

    def __init__(self, options, references):
        self.dinf, self.injector, self.limit, self.references = options.dinf, options.injector, options.limit, references
        self.launcher = shlex.split(os.environ["DINF_MPIRUN"])


def make_inputs(folder):
    import numpy as np

    images = np.random.default_rng(1).integers(0, 256, (144, 3, 8, 8), np.uint8)
    np.save(f"{folder}/images.npy", images)
    for name in CONFIGS:
        shutil.copy(f"{HERE}/{name}.cfg", folder)


class Attempt:
    """One command, from its start to its end."""

    def __init__(self, process, log):
        self.process, self.log, self.status, self.hung = process, log, None, False

    def running(self):
        return self.process.poll() is None

    def message(self):
        """The last line that says something, without mpirun's own."""
        with open(self.log, errors="replace") as f:
            lines = [line.strip() for line in f]
        lines = [line for line in lines if line and not line.startswith(("---", "***"))]
        return lines[-1] if lines else ""


class Campaign:
    def __init__(self, setup, folder, config, ranks, mark):
        self.setup, self.folder, self.config, self.ranks = setup, folder, config, ranks
        self.dir, self.mark = f"{folder}/d", mark
        self.reference = f"{setup.references}/{config}"
        self.attempts, self.options = [], ["--grace", "5"]
        os.makedirs(f"{folder}/t")
        if not os.path.exists(f"{folder}/images.npy"):
            make_inputs(folder)
        try:
            with open(f"{self.reference}.seconds") as f:
                self.seconds = float(f.read())
            with open(f"{self.reference}/journal.jsonl") as f:
                self.lines = len(f.readlines())
        except FileNotFoundError:  # this is the undisturbed run itself
            self.seconds, self.lines = 0, 0
        self.limit = max(setup.limit, 12 * self.seconds)  # a machine under load is not a program that hangs

    def environment(self):
        e = {k: v for k, v in os.environ.items() if not k.startswith(_INHERITED)}
        e.update({
            processes.MARK: self.mark,
            "DINF_PROGRESS": "plain",
            "TMPDIR": f"{self.folder}/t",
            "OMPI_MCA_btl_vader_backing_directory": f"{self.folder}/t",
            "OMPI_ALLOW_RUN_AS_ROOT": "1",
            "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
        })
        return e

    def command(self, config, options):
        return [self.setup.dinf, "run", f"{config or self.config}.cfg", "--out", self.dir, *self.options, *options]

    def start(self, environment=None, config=None, options=(), launched=True, before=None, ranks=None, prefix=(), **popen):
        """The campaign's command; `environment` and `prefix` for dinf alone, `before` runs in the new process."""
        n = len(self.attempts)
        log = f"{self.folder}/{n}.err"
        command, ranks = [*prefix, *self.command(config, options)], ranks or self.ranks
        env = self.environment()
        if launched and ranks > 1:
            exports = [w for k, v in (environment or {}).items() for w in ("-x", f"{k}={v}")]
            command = [*self.setup.launcher, *exports, "-n", str(ranks), *command]
        else:
            env.update(environment or {})
        with open(log, "wb") as err, open(f"{self.folder}/{n}.out", "wb") as out:
            streams = {"stdin": subprocess.DEVNULL, "stdout": out, "stderr": err, **popen}
            process = subprocess.Popen(command, cwd=self.folder, env=env, start_new_session=True, preexec_fn=before,
                                       **streams)
        self.attempts.append(Attempt(process, log))
        return self.attempts[-1]

    def wait(self, attempt, limit=None):
        """Its exit status; a run that does not end is ended, and remembered."""
        end = time.monotonic() + (limit or self.limit)
        while attempt.running() and time.monotonic() < end:
            time.sleep(0.02)
        if attempt.running():
            attempt.hung = True
            processes.end_all(self.mark)
        attempt.status = attempt.process.wait()
        return attempt.status

    def run(self, **how):
        return self.wait(self.start(**how))

    def written(self):
        """Lines of the journal; -1: there is none."""
        try:
            with open(f"{self.dir}/journal.jsonl", "rb") as f:
                return f.read().count(b"\n")
        except OSError:
            return -1

    def moment(self, rng, attempt, part=1):
        """Waits for a random moment of the run, or its first part: a random line of its journal, and a little more."""
        line = rng.randrange(-1, max(1, int(part * (self.lines - 1))))
        pause = rng.random() * 2 * self.seconds / max(1, self.lines)
        end = time.monotonic() + self.limit
        while attempt.running() and self.written() < line and time.monotonic() < end:
            time.sleep(0.01)
        end = time.monotonic() + pause
        while attempt.running() and time.monotonic() < end:
            time.sleep(0.01)
        return f"after {line} lines and {pause:.2f} s"

    def find(self, rng, attempt, role):
        """A process of this role, waited for; None if the run ends before there is one."""
        while attempt.running():
            found = [p for p in processes.find(self.mark) if p.role == role]
            if found:
                return rng.choice(sorted(found, key=lambda p: p.pid))
            time.sleep(0.01)
        return None

    def finished(self):
        """A finished run directory without having run: the undisturbed run's, copied."""
        shutil.copytree(self.reference, self.dir, symlinks=True)

    def kill(self, attempt):
        """All at once, as if the machine had lost its power."""
        processes.end_all(self.mark)
        attempt.status = attempt.process.wait()

    def differences(self):
        """From the undisturbed run; [] if there are none."""
        try:
            r = subprocess.run([sys.executable, f"{HERE}/differences.py", self.reference, self.dir],
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120)
        except subprocess.TimeoutExpired:
            return ["reading results.h5 did not end"]
        lines = r.stdout.splitlines()
        return lines or (["reading results.h5 failed"] if r.returncode != 0 else [])

    def leftovers(self):
        """Files and folders that a finished run does not have."""
        def listing(top):
            return {os.path.relpath(os.path.join(where, name), top)
                    for where, folders, files in os.walk(top) for name in folders + files}

        extra = listing(self.dir) - listing(self.reference)
        return sorted(e for e in extra if ".tmp." in e or e.startswith("work/"))
