#!/usr/bin/python3
"""Files that are damaged, exchanged or lost, before a run goes on and while it runs: status 0, a line that says so, and
the results of a run that nobody disturbed.

usage: test_contents.py DINF
"""
import glob
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

import h5py

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "mpi"))
import compare

DINF = None
CONFIG = """
campaign = { name = "contents"; seed = 3; trials = 1; threads = 1; retries = 2; retry_seconds = 0.05; };
datasets = (
    { name = "shapes";  format = "procedural"; classes = 6; count = 300; size = 8; },
    { name = "members"; of = "shapes"; begin = 0;   count = 64; },
    { name = "heldout"; of = "shapes"; begin = 64;  count = 64; },
    { name = "outside"; of = "shapes"; begin = 128; count = 64; }
);
encoders = ( { name = "victim"; role = "victim"; heldout = "heldout";
      train = { dataset = "members"; arch = "resnet8"; width = 0.125; augment = "weak"; epochs = 12; batch = 16;
                checkpoint_seconds = 0.0; }; } );
steal = ( { victim = "victim"; queries = [ "outside" ]; budgets = [ 32 ]; loss = "mse";
            arch = "resnet8"; width = 0.125; epochs = 4; batch = 16; } );
evaluate = { dataset_inference = { statistics = [ "gap" ]; seeds = 1; components = 1; covariance = "diag"; };
             similarity = { }; };
"""
# `both` needs `first`, whose result is damaged while `slow` runs; nobody needs `leaf`, which comes first by its length
MOCK = """
campaign = { name = "mock"; trials = 1; threads = 1; retries = 1; retry_seconds = 0.05; };
mock = ( { name = "first"; }, { name = "leaf"; seconds = 1.5; }, { name = "slow"; seconds = 1.0; after = "first"; },
         { name = "both"; count = 2; after = [ "first", "slow" ]; } );
"""


def dinf(*words, timeout=60):
    return subprocess.run([DINF, *words], capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=timeout)


def read(path):
    with open(path, "rb") as f:
        return f.read()


def flip(path, bit):
    with open(path, "r+b") as f:
        f.seek(bit // 8)
        byte = f.read(1)[0] ^ (1 << bit % 8)
        f.seek(bit // 8)
        f.write(bytes([byte]))


def flip_middle(path):
    flip(path, 4 * os.path.getsize(path) + 3)


def zero(path):
    n = os.path.getsize(path)
    with open(path, "r+b") as f:
        f.seek(n // 2)
        f.write(bytes(min(64, n // 2)))


def truncate(path):
    os.truncate(path, os.path.getsize(path) - 50)


def garbage(path):
    with open(path, "wb") as f:
        f.write(b"\0 garbage {\n" * 3)


def zero_array(path):
    """Zeros in the stored bytes of an array: its structure stays."""
    with h5py.File(path) as f:
        at = f["representations"].id.get_chunk_info(0).byte_offset
    with open(path, "r+b") as f:
        f.seek(at + 100)
        f.write(bytes(64))


class Contents(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="dinf-contents-")
        os.chdir(cls.folder.name)
        for name, text in (("small.cfg", CONFIG), ("mock.cfg", MOCK)):
            with open(name, "w") as f:
                f.write(text)
        done = dinf("run", "small.cfg", "--out", "whole", "--device", "cpu")
        assert done.returncode == 0, done.stderr
        cls.ids = cls.tasks("whole")

    @classmethod
    def tearDownClass(cls):
        os.chdir("/")
        cls.folder.cleanup()

    @staticmethod
    def tasks(folder):
        with open(f"{folder}/plan.json") as f:
            return {t["name"]: t["id"] for t in json.load(f)["tasks"]}

    @staticmethod
    def events(folder):
        with open(f"{folder}/journal.jsonl") as f:
            return [json.loads(line) for line in f if line.startswith("{")]

    def copy(self):
        shutil.rmtree("run", ignore_errors=True)
        shutil.copytree("whole", "run", symlinks=True)
        return "run"

    def resume(self, says=None, config="small.cfg", folder="run"):
        done = dinf("run", config, "--out", folder, "--device", "cpu")
        self.assertEqual(done.returncode, 0, done.stderr)
        if says is not None:
            self.assertIn(says, done.stderr)
        return done.stderr

    def same(self, folder="run"):
        """The tables and arrays of results.h5, and the weights."""
        self.assertEqual(compare.main("whole", folder), 0)
        for path in glob.glob("whole/tasks/*.safetensors"):
            self.assertEqual(read(path), read(path.replace("whole", folder)), path)

    def path(self, task, suffix=".h5", folder="run"):
        return f"{folder}/tasks/{self.ids[task]}{suffix}"

    def test_results_and_weights(self):
        def exchange(other, suffix):
            return lambda path: shutil.copy(self.path(other, suffix), path)

        embed, thief = "embed:victim/members", "steal:victim.outside.32.mse"
        for task, suffix, how in ((embed, ".h5", flip_middle), (embed, ".h5", zero_array), (embed, ".h5", truncate),
                                  (embed, ".h5", exchange("embed:victim/heldout", ".h5")), (embed, ".h5", os.remove),
                                  (thief, ".h5", garbage), ("train:victim", ".safetensors", flip_middle),
                                  (thief, ".safetensors", zero), (thief, ".safetensors", truncate),
                                  (thief, ".safetensors", exchange("train:victim", ".safetensors")),
                                  (thief, ".safetensors", os.remove)):
            with self.subTest(task=task, suffix=suffix, how=how.__name__):
                self.copy()
                path = self.path(task, suffix)
                how(path)
                bad = read(path) if os.path.exists(path) else None
                said = self.resume()
                what = "missing" if bad is None else "damaged or another task's"
                line = f"tasks/{self.ids[task]}{suffix} is {what}: {task} is done again"
                self.assertEqual(said.count(line), 1, said)
                self.assertEqual(said.count(" is done again"), 1, said)
                if bad is not None:
                    self.assertEqual(read(path + ".damaged"), bad)
                self.same()
                before = len(self.events("run"))
                self.assertNotIn("done again", self.resume())  # and that was all
                self.assertEqual([e["event"] for e in self.events("run")[before:]], ["run", "end"])

    def test_other_files(self):
        def line_lost(path):
            with open(path) as f:
                lines = f.readlines()
            k = max(i for i, line in enumerate(lines) if '"event":"done"' in line)
            with open(path, "w") as f:
                f.writelines(lines[:k] + [lines[k].replace('"event":"done"', '"event":"dooe"')] + lines[k + 1:])

        for name, how, says in (("journal.jsonl", line_lost, "no digest of 1 result: it is read through"),
                                ("journal.jsonl", os.remove, "no digest of 13 results: they are read through"),
                                ("journal.jsonl", garbage, "3 damaged lines are left out"),
                                ("plan.json", garbage, None), ("plan.json", os.remove, None),
                                ("status.json", garbage, None), ("results.h5", flip_middle, None),
                                ("config.cfg", garbage, None)):
            with self.subTest(name=name, how=how.__name__):
                self.copy()
                times = {p: os.stat(p).st_mtime_ns for p in glob.glob("run/tasks/*")}
                how(f"run/{name}")
                self.resume(says)
                self.same()
                # what was whole was taken over
                self.assertEqual(times, {p: os.stat(p).st_mtime_ns for p in glob.glob("run/tasks/*")})
                done = [e for e in self.events("run") if e["event"] == "done"]
                self.assertEqual(len({e["id"] for e in done if "result" in e}), 13)

    def test_journal_lost_and_a_file_damaged(self):
        thief = "steal:victim.outside.32.mse"
        for task, suffix, how in (("embed:victim/members", ".h5", zero_array), ("embed:victim/members", ".h5", truncate),
                                  (thief, ".safetensors", flip_middle), (thief, ".safetensors", os.remove)):
            with self.subTest(task=task, how=how.__name__):
                self.copy()
                os.remove("run/journal.jsonl")
                how(self.path(task, suffix))
                self.resume()
                self.assertTrue(os.path.exists(self.path(task, ".h5.damaged")))
                self.assertEqual(len(glob.glob("run/tasks/*.h5.damaged")), 1)
                with open(f"run/logs/{self.ids[task]}.log") as f:
                    self.assertIn("the task is done again", f.read())
                self.same()

    def test_directories_without_digests(self):
        """As versions before the digests left them; and an exchanged file in one."""
        self.copy()
        events = self.events("run")
        with open("run/journal.jsonl", "w") as f:
            for e in events:
                e.pop("result", None), e.pop("weights", None)
                f.write(json.dumps(e) + "\n")
        shutil.copy(self.path("embed:victim/heldout"), self.path("embed:victim/members"))
        collected = dinf("collect", "run")
        self.assertEqual(collected.returncode, 1)
        self.assertIn("is the result of another task", collected.stderr)
        self.resume("no digest of 13 results: they are read through")
        self.assertEqual(len(glob.glob("run/tasks/*.damaged")), 1)
        self.same()
        self.assertNotIn("no digest", self.resume())

    def test_checkpoint(self):
        for how in (flip_middle, zero, truncate, garbage):
            with self.subTest(how=how.__name__):
                shutil.rmtree("run", ignore_errors=True)
                checkpoint = f"run/work/{self.ids['train:victim']}/checkpoint.safetensors"
                run = subprocess.Popen([DINF, "run", "small.cfg", "--out", "run", "--device", "cpu"],
                                       stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                while not os.path.exists(checkpoint) and run.poll() is None:
                    time.sleep(0.005)
                run.send_signal(signal.SIGTERM)
                self.assertEqual(run.wait(60), 75)
                how(checkpoint)
                self.resume()
                with open(f"run/logs/{self.ids['train:victim']}.log") as f:
                    self.assertIn("the training starts from its beginning", f.read())
                self.same()

    def disturb(self, config, task, suffix, how, wait_for):
        """Runs, and damages the task's file as soon as the event of `wait_for` is in the journal."""
        shutil.rmtree("run", ignore_errors=True)
        run = subprocess.Popen([DINF, "run", config, "--out", "run", "--device", "cpu"], text=True,
                               stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
        ids, found = None, False
        while not found and run.poll() is None:
            time.sleep(0.002)
            if ids is None and os.path.exists("run/journal.jsonl"):
                ids = self.tasks("run")
            if ids is not None:
                with open("run/journal.jsonl") as f:
                    found = any(f'"{wait_for[0]}"' in line and ids[wait_for[1]] in line for line in f)
        how(f"run/tasks/{ids[task]}{suffix}")
        said = run.communicate(timeout=60)[1]
        self.assertEqual(run.returncode, 0, said)
        reopened = [e["id"] for e in self.events("run") if e["event"] == "reopened"]
        self.assertEqual(reopened, [ids[task]], said)
        self.assertEqual(said.count(" is done again"), 1, said)
        return said

    def test_inputs_while_the_run_goes_on(self):
        for how in (flip_middle, truncate, os.remove):
            with self.subTest(how=how.__name__):
                self.disturb("mock.cfg", "mock:first/0", ".h5", how, ("start", "mock:slow/0"))
                failed = [e for e in self.events("run") if e["event"] == "failed"]
                self.assertEqual(failed, [])  # that was no attempt of the dependant's
        self.disturb("small.cfg", "train:victim", ".safetensors", flip_middle, ("done", "train:victim"))
        self.same()

    def test_results_that_nobody_needs_while_the_run_goes_on(self):
        self.disturb("mock.cfg", "mock:leaf/0", ".h5", flip_middle, ("start", "mock:slow/0"))
        with h5py.File("run/results.h5") as f:
            self.assertEqual(len(f["mock"]), 5)

    def test_a_digest_of_a_file_that_nobody_can_read(self):
        """It was damaged before its digest was taken: the digest is right, and the file is done again."""
        self.copy()
        path = self.path("similarity:victim.outside.32.mse@victim")
        truncate(path)
        self.record(path)
        collected = dinf("collect", "run")
        self.assertEqual(collected.returncode, 1)
        self.assertIn(f"{path} is unreadable", collected.stderr)
        self.resume("cannot be read: similarity:victim.outside.32.mse@victim is done again")
        self.same()
        # the same of an input: the dependant's attempts are not used up for it
        self.copy()
        path = self.path("embed:victim/members")
        zero_array(path)
        self.record(path)
        os.remove(self.path("dataset_inference:victim@victim"))
        self.resume("cannot be used: embed:victim/members is done again")
        self.same()

    def record(self, path):
        """The journal has this file's digest."""
        task = os.path.basename(path).split(".")[0]
        digest = hashlib.sha256(read(path)).hexdigest()
        events = self.events("run")
        with open("run/journal.jsonl", "w") as f:
            for e in events:
                if e["event"] == "done" and e["id"] == task:
                    e["result"] = digest
                f.write(json.dumps(e) + "\n")

    def test_single_bits_of_results(self):
        """400 of them: collect leaves the file out each time, and a run makes it anew."""
        self.copy()
        draw = random.Random(5)
        files = sorted(glob.glob("run/tasks/*.h5"))
        bits = [(f := draw.choice(files), draw.randrange(8 * os.path.getsize(f))) for _ in range(400)]
        for k, (path, bit) in enumerate(bits):
            flip(path, bit)
            done = dinf("collect", "run", timeout=20)
            self.assertEqual(done.returncode, 1, (path, bit, done.stderr))
            self.assertIn(f"{path} is damaged and left out", done.stderr)
            if k % 40 == 0:
                self.resume(" is done again")
                self.same()
            else:
                flip(path, bit)
        self.assertEqual(dinf("collect", "run").returncode, 0)
        self.same()

    def test_single_bits_without_digests(self):
        """What HDF5 makes of damaged bytes ends neither collect nor the run, however it ends."""
        self.copy()
        events = self.events("run")
        with open("run/journal.jsonl", "w") as f:
            for e in events:
                e.pop("result", None), e.pop("weights", None)
                f.write(json.dumps(e) + "\n")
        draw = random.Random(6)
        bad = None
        files = sorted(glob.glob("run/tasks/*.h5"))
        for _ in range(60):
            path = draw.choice(files)
            bit = draw.randrange(8 * min(6000, os.path.getsize(path)))
            flip(path, bit)
            done = dinf("collect", "run", timeout=300)
            self.assertIn(done.returncode, (0, 1), (path, bit, done.stderr))
            if done.returncode == 1:
                self.assertIn(path, done.stderr)
                bad = (path, bit)
            flip(path, bit)
        flip(*bad)
        self.resume()
        self.assertEqual(glob.glob("run/tasks/*.damaged"), [bad[0] + ".damaged"])
        self.same()

    def test_kill_and_damage(self):
        draw = random.Random(int(os.environ.get("SEED", "7")))
        for _ in range(4):
            shutil.rmtree("run", ignore_errors=True)
            run = subprocess.Popen([DINF, "run", "small.cfg", "--out", "run", "--device", "cpu"],
                                   stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(draw.uniform(0.2, 2))
            run.kill()
            run.wait()
            files = [p for p in glob.glob("run/tasks/*") + glob.glob("run/work/*/*") + ["run/journal.jsonl"]
                     if os.path.isfile(p) and os.path.getsize(p) > 100]
            if files:
                path = draw.choice(files)
                draw.choice((flip_middle, zero, truncate, os.remove))(path)
            self.resume()
            self.same()


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    DINF = os.path.abspath(sys.argv.pop(1))
    unittest.main(argv=sys.argv[:1] + sys.argv[1:])
