#!/usr/bin/python3
"""What `dinf status` and `dinf task` say of a run directory, in every state that one may be in.

usage: test_status.py DINF

The directory is that of a small run of mock tasks, whose journal, status and lock are then written by this test."""
import fcntl
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import unittest

DINF = None
CONFIG = """campaign = { name = "mock"; seed = 0; threads = 1; retries = 0; };
mock = ( { name = "good"; count = 2; }, { name = "bad"; count = 22; fail = 9; }, { name = "last"; after = "good"; } );
"""


def dinf(*args, **more):
    return subprocess.run([DINF, *map(str, args)], capture_output=True, text=True, stdin=subprocess.DEVNULL, **more)


class Status(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.made = pathlib.Path(cls.folder.name) / "made"
        config = cls.made.with_suffix(".cfg")
        config.write_text(CONFIG)
        cls.first = dinf("run", config, "--out", cls.made)
        assert cls.first.returncode == 1, cls.first.stderr

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def setUp(self):
        self.dir = pathlib.Path(self.folder.name) / "run"
        shutil.copytree(self.made, self.dir)
        self.tasks = {t["name"]: t["id"] for t in json.loads((self.dir / "plan.json").read_text())["tasks"]}
        (self.dir / "lock").write_text("")
        self.events = []
        (self.dir / "status.json").unlink()

    def tearDown(self):
        shutil.rmtree(self.dir)

    def event(self, ago, event, task=None, **more):
        """One line of the journal, so many seconds ago."""
        more = {**more, "id": self.tasks[task]} if task else more
        self.events.append(json.dumps({"t": time.time() - ago, "event": event, **more}))
        (self.dir / "journal.jsonl").write_text("\n".join(self.events) + "\n")

    def run_event(self, ago, ranks=1):
        self.event(ago, "run", ranks=ranks, host="node7", revision="x")

    def done(self, ago, task, seconds):
        for event in ("start", "done"):
            self.event(ago, event, task, attempt=1, rank=0, **({"seconds": seconds} if event == "done" else {}))

    def status(self, code=0, *args):
        got = dinf("status", self.dir, *args)
        self.assertEqual(got.returncode, code, got.stderr)
        return got.stdout

    def json(self, code=0):
        return json.loads(self.status(code, "--json"))

    def life(self, code=0):
        """The line that tells of the run's life."""
        return self.status(code).splitlines()[2]

    def test_not_begun(self):
        (self.dir / "journal.jsonl").unlink()
        self.assertEqual(self.life(), f"not started yet: {self.dir}")
        got = self.json()
        self.assertEqual((got["live"], got["lock"], got["news_seconds"], got["runs"], got["missing"], got["total"],
                          got["workers_total"]), (False, "free", None, 0, [], 25, 1))
        with open(self.dir / "lock", "w") as f:
            fcntl.flock(f, fcntl.LOCK_EX)
            f.write(f"{socket.gethostname()} 5\n")
            f.flush()
            self.assertEqual(self.life(), f"starting on {socket.gethostname()}")
            self.assertEqual(self.json()["lock"], "held")

    def test_ended_or_killed(self):
        self.run_event(100, ranks=4)
        self.done(90, "mock:good/0", 2)
        self.assertEqual(self.life(), "the run was killed; last news 1 min 30 s ago; the same command goes on")
        got = self.json()
        self.assertEqual((got["done"], got["running"], got["waiting"], got["ready"]), (1, 0, 0, 24))
        self.assertEqual((got["runs"], got["workers_total"]), (1, 3))
        self.assertTrue(90 <= got["news_seconds"] < 110)
        self.assertEqual(got["missing"], ["status.json"])
        self.event(80, "end", done=1, failed=0, skipped=0)
        self.assertEqual(self.life(), "not running; last news 1 min 20 s ago; the same command goes on")
        for name in self.tasks:
            (self.dir / "tasks" / f"{self.tasks[name]}.h5").touch()
            self.done(70, name, 2)
        self.event(70, "end", done=25, failed=0, skipped=0)
        self.assertEqual(self.life(), "not running; last news 1 min 10 s ago")
        self.assertIn(" 100%", self.status().splitlines()[0])
        self.assertEqual((self.json()["fraction"], self.json()["done"]), (1, 25))
        self.event(-100, "run", ranks=1, host="h", revision="x")  # of the future: the clock was set back
        self.assertIn("the clock was set back", self.life())
        self.assertIsNone(self.json()["news_seconds"])

    def test_another_host_is_believed_for_a_minute(self):
        (self.dir / "lock").write_text("elsewhere 77\n")
        for ago, live in ((10, True), (50, True), (70, False)):
            self.events = []
            self.run_event(ago, ranks=2)
            want = ("running on node7, 2 ranks (its news are fresh; whether it lives cannot be seen from this host)" if live
                    else "no news from the run on elsewhere: it was killed or hangs; last news 1 min 10 s ago")
            self.assertEqual(self.life(), want)
            self.assertEqual((self.json()["live"], self.json()["lock"]), (live, "elsewhere"))
        self.event(5, "end", done=0, failed=0, skipped=0)  # whatever the lock says, that run has ended
        self.assertIn("not running; last news 5.", self.life())
        self.assertFalse(self.json()["live"])

    def hold(self):
        f = open(self.dir / "lock", "w")
        fcntl.flock(f, fcntl.LOCK_EX)
        f.write(f"{socket.gethostname()} 5\n")
        f.flush()
        return f

    def snapshot(self, ago, **more):
        worker = {"rank": 1, "host": "node9", "task": "mock:last/0", "attempt": 1, "seconds": 30, "fraction": 0.5, "loss": None,
                  "rate": None, "unit": "", "what": "step"}
        s = {"campaign": "mock", "time": time.time() - ago, "elapsed": 5, "left": 1, "fraction": 0, "workers_total": 6,
             "stopping": False, "hosts": "node8 node9", "workers": [worker], "total": 25, **more}
        (self.dir / "status.json").write_text(json.dumps(s))

    def test_running(self):
        self.run_event(100, ranks=1)
        self.event(40, "start", "mock:good/1", attempt=1, rank=1)
        with self.hold():
            self.assertEqual(self.life(), "running on node7, 1 rank")  # the last news are 40 s old
            self.assertAlmostEqual(self.json()["time"], time.time(), delta=15)  # that of the question
            self.assertLess(self.json()["left"], 1e6)
            self.snapshot(20)
            lines = self.status().splitlines()
            self.assertEqual(lines[2].split(), "1 mock:last/0 [###...] 50% step 30 s".split())
            self.assertEqual(lines[3], "running on node8 node9, 1 rank")
            got = self.json()
            self.assertEqual((got["running"], len(got["workers"]), got["workers_total"], got["missing"]), (1, 1, 6, []))
            self.assertEqual(got["workers"][0]["host"], "node9")
            self.assertEqual(got["time"], json.loads((self.dir / "status.json").read_text())["time"])
            self.assertTrue(20 <= got["news_seconds"] < 35)
            self.snapshot(200)  # of the run before
            got = self.json()
            self.assertEqual((got["running"], got["workers"]), (1, []))
            self.events = []
            self.run_event(70, ranks=1)
            self.assertEqual(self.life(), "running on node8 node9, 1 rank, no news for 1 min 10 s")
            self.snapshot(3, total=99)  # where there is a plan, it knows
            self.assertEqual((self.json()["total"], self.json()["waiting"]), (25, 1))
            self.snapshot(3, stopping=True)
            self.assertTrue(self.json()["stopping"])
        self.snapshot(500)
        self.assertAlmostEqual(self.json()["time"], time.time(), delta=15)
        got = self.json()  # and killed
        self.assertEqual((got["running"], got["workers"], got["stopping"], got["live"]), (0, [], False, False))

    def test_tasks_and_failures(self):
        self.run_event(100)
        self.done(90, "mock:good/0", 2.25)
        for k in range(22):
            self.event(80, "start", f"mock:bad/{k}", attempt=1, rank=0)
            self.event(80, "failed", f"mock:bad/{k}", attempt=1, rank=0, host="h", seconds=1, error=f"why {k}", final=True)
        self.event(70, "end", done=1, failed=22, skipped=0)
        lines = self.status(1).splitlines()
        self.assertEqual(lines[1], "  1 of 25 done, 22 failed, 0 skipped, 0 running, 2 remaining, 4.5 s left")
        self.assertEqual(lines[3:5], ["failed  mock:bad/0 (attempt 1): why 0", f"        log: logs/{self.tasks['mock:bad/0']}.log"])
        self.assertEqual(len(lines), 3 + 2 * 20 + 1)
        self.assertEqual(lines[-1], "        and 2 more (--all)")
        lines = self.status(1, "--all").splitlines()
        self.assertEqual(len(lines), 3 + 2 * 22 + 25)
        order = list(self.tasks)
        state = {"mock:good/0": ("done", "2.2 s"), "mock:good/1": ("ready", ""), "mock:last/0": ("ready", "")}
        want = [f"{state.get(n, ('failed', ''))[0]:8} {self.tasks[n][:12]}  {state.get(n, ('', ''))[1]:10} {n}" for n in order]
        self.assertEqual(lines[-25:], want)
        got = self.json(1)
        self.assertEqual([t["name"] for t in got["tasks"]], order)
        t = got["tasks"][order.index("mock:bad/3")]
        self.assertEqual((t["state"], t["attempts"], t["seconds"], t["error"], t["kind"]), ("failed", 1, 1, "why 3", "mock"))
        for args in (("--json", "--all"), ("--jsn",)):
            self.assertEqual(dinf("status", self.dir, *args).returncode, 2)
        self.assertEqual(dinf("status").returncode, 2)
        self.assertEqual(dinf("status", self.dir, self.dir).returncode, 2)

    def test_without_a_plan(self):
        self.run_event(100)
        self.done(90, "mock:good/0", 2)
        (self.dir / "plan.json").unlink()
        self.snapshot(90)
        got = self.json()
        self.assertEqual((got["missing"], got["total"], got["done"], got["waiting"], got["campaign"]),
                         (["plan.json"], 25, 1, 24, "mock"))
        self.assertEqual(len(got["tasks"]), 1)
        for total in (1, 0):  # what the run knew is no less than what has begun
            self.snapshot(90, total=total)
            got = self.json()
            self.assertEqual((got["total"], got["done"], got["waiting"]), (1, 1, 0))
        (self.dir / "status.json").unlink()
        got = self.json()
        self.assertEqual((got["total"], got["done"], got["waiting"], got["missing"]), (1, 1, 0, ["plan.json", "status.json"]))
        (self.dir / "journal.jsonl").unlink()
        done = dinf("status", self.dir)
        self.assertEqual((done.returncode, done.stdout), (2, ""))
        self.assertIn("is not a run directory: it has no plan.json", done.stderr)

    def test_results_left_out(self):
        """Descriptors that a run hands over, and what a person gets."""
        read, write = os.pipe()
        got = dinf("collect", self.dir, "--left-out-fd", write, pass_fds=(write,))
        os.close(write)
        self.assertEqual((got.returncode, os.read(read, 1000)), (0, b"3 collected\n"))
        self.assertEqual(got.stdout, f"{self.dir}/results.h5\n")
        one = self.tasks["mock:good/1"]
        (self.dir / "tasks" / f"{one}.h5").write_bytes(b"x")
        read, write = os.pipe()
        got = dinf("collect", self.dir, "--left-out-fd", write, pass_fds=(write,))
        os.close(write)
        self.assertEqual((got.returncode, os.read(read, 1000).decode()), (1, f"2 collected\n{one} damaged\n"))
        self.assertIn("is damaged and left out: `dinf run` does mock:good/1 again", got.stderr)

    def test_one_task(self):
        result = self.dir / "tasks" / f"{self.tasks['mock:good/1']}.h5"
        for word in ("mock:good/1", self.tasks["mock:good/1"], self.tasks["mock:good/1"][:6]):
            result.unlink()
            got = dinf("task", self.dir, word)
            self.assertEqual(got.returncode, 0, got.stderr)
            self.assertTrue(result.exists())
        got = dinf("task", self.dir, "mock:bad/1", "--attempt", 9)
        self.assertEqual(got.returncode, 1)
        self.assertIn("error: mock failure 9 of 9", got.stderr)
        self.assertEqual(dinf("task", self.dir, "mock:bad/1", "--attempt", 10).returncode, 0)  # it fails so many times
        for words, says in ((("mock:godo/1",), "there is no task \"mock:godo/1\""), ((), "usage: dinf task"),
                            (("a", "b"), "unexpected word"), (("mock:good/1", "--attempt", 0), "attempt = 0 is out of bounds"),
                            (("mock:good/1", "--spec-fd", 50), "cannot read the task's description")):
            got = dinf("task", self.dir, *words)
            self.assertEqual((got.returncode, got.stdout), (2, ""), got.stderr)
            self.assertIn(says, got.stderr)
        for length in (65000, 65535 - 400, 65536 - 100, 70000, 140000):  # a description of any length
            result.unlink()
            spec = json.dumps({"id": self.tasks["mock:good/1"], "name": "x" * length, "kind": "mock", "params": {}, "inputs": []})
            (self.dir / "spec").write_text(spec)
            with open(self.dir / "spec") as f:
                got = dinf("task", self.dir, "any", "--spec-fd", f.fileno(), "--device", "ref", pass_fds=(f.fileno(),))
            self.assertEqual(got.returncode, 0, got.stderr[:300])
            self.assertTrue(result.exists())
        (self.dir / "spec").unlink()
        with open(self.dir / "logs" / f"{self.tasks['mock:good/1']}.log", "a") as f:  # another process is at it
            fcntl.flock(f, fcntl.LOCK_EX)
            begin = time.monotonic()
            got = dinf("task", self.dir, "mock:good/1")
            self.assertTrue(9.9 <= time.monotonic() - begin < 60)
            self.assertIn("this task is being run by another process", got.stderr)
            self.assertNotEqual(got.returncode, 0)


    def test_results_that_nobody_has_a_digest_of(self):
        """Whole ones are taken over; others are kept aside, and the task is done."""
        task, other = self.tasks["mock:good/0"], self.tasks["mock:good/1"]
        (self.dir / "journal.jsonl").unlink()
        result = self.dir / "tasks" / f"{task}.h5"
        before = result.read_bytes()
        (self.dir / "work" / task).mkdir(parents=True, exist_ok=True)
        (self.dir / "work" / task / "state").write_text("x")
        got = dinf("task", self.dir, "mock:good/0")
        self.assertEqual(got.returncode, 0)
        self.assertIn(f"tasks/{task}.h5 was there, whole, and is taken over", got.stderr)
        self.assertEqual(result.read_bytes(), before)
        self.assertFalse((self.dir / "work" / task).exists())
        for damaged, says in ((b"x" * 100, "cannot open"), ((self.dir / "tasks" / f"{other}.h5").read_bytes(),
                                                             f"is the result of another task, {other}")):
            result.write_bytes(damaged)
            got = dinf("task", self.dir, "mock:good/0")
            self.assertEqual(got.returncode, 0)
            self.assertIn(says, got.stderr)
            self.assertIn(f": the task is done again (kept: tasks/{task}.*.damaged)", got.stderr)
            self.assertNotIn("taken over", got.stderr)
            self.assertEqual((self.dir / "tasks" / f"{task}.h5.damaged").read_bytes(), damaged)
            self.assertGreater(len(result.read_bytes()), 100)
        result.unlink()  # there is nothing to say of what is not there
        got = dinf("task", self.dir, "mock:good/0")
        self.assertNotIn("done again", got.stderr)


if __name__ == "__main__":
    DINF = os.path.abspath(sys.argv.pop(1))
    unittest.main(verbosity=2)
