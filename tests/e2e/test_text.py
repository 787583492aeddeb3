#!/usr/bin/python3
"""What commands print for people: the numbers that programs get as JSON, and measurements of what was asked for.

usage: test_text.py DINF"""
import json
import math
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

import h5py
import numpy as np

DINF = None
HERE = pathlib.Path(__file__).resolve().parent


def dinf(*args, **more):
    return subprocess.run([DINF, *map(str, args)], capture_output=True, text=True, stdin=subprocess.DEVNULL, **more)


def text_and_json(*args):
    text, as_json = dinf(*args), dinf(*args, "--json")
    assert (text.returncode, as_json.returncode) == (0, 0), (args, text.stderr, as_json.stderr)
    assert max(map(len, text.stdout.splitlines())) < 80
    return text.stdout, json.loads(as_json.stdout)


def four(x, digits=4):
    """As printf's %.4g."""
    return f"{x:.{digits}g}"


class Text(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.path = pathlib.Path(self.folder.name)
        self.rng = np.random.default_rng(3)

    def tearDown(self):
        self.folder.cleanup()

    def save(self, name, x):
        np.save(self.path / name, x)
        return self.path / name

    def refused(self, *args, says):
        done = dinf(*args)
        self.assertEqual((done.returncode, done.stdout), (2, ""), args)
        self.assertIn(says, done.stderr)

    # ---- compare ----

    def test_compare(self):
        a = self.rng.normal(size=(300, 5))
        b = a + 0.2 * self.rng.normal(size=(300, 5))
        a[7], b[7] = a[3], b[3]
        text, j = text_and_json("compare", self.save("a.npy", a), self.save("b.npy", b))
        lines = text.splitlines()
        self.assertEqual(lines[0], "300 images, 5 and 5 dimensions (centred, rows normalised)")
        rows = (("cosine", "cosine"), ("|cosine|", "cosine_abs"), ("L1 distance", "l1"), ("L2 distance", "l2"),
                ("Linf distance", "linf"), ("L2 score", "l2_score"))
        for line, (label, key) in zip(lines[1:], rows):
            self.assertEqual(line, f"{label:21}{j[key]:10.6f}  +- {j[key + '_ci']:.6f}")
        mi, ci = j["mutual_information"], j["mutual_information_ci"]
        self.assertEqual(lines[7], f"{'mutual information':21}{mi:10.4f}    +- {ci:.4f} nats")
        self.assertIn("99% intervals over images", lines[8])
        self.assertEqual((j["n"], j["dim_a"], j["dim_b"], j["duplicates"]), (300, 5, 5, 2))
        self.assertIn("2 images are left out of it: another has exactly the same representation", text)
        text, j = text_and_json("compare", self.save("c.npy", a[8:]), self.save("d.npy", b[8:, :4]))
        self.assertNotIn("left out", text)
        self.assertIn("cosine and distances need equal dimensions", text)
        self.assertNotIn("+- 0", text.split("mutual")[0])
        self.assertEqual((j["dim_a"], j["dim_b"], j["cosine"]), (5, 4, None))

    # ---- audit ----

    def audit(self, fit, members, heldout, *more):
        names = [self.save(f"{n}.npy", x) for n, x in (("fit", fit), ("members", members), ("heldout", heldout))]
        return text_and_json("audit", "--fit", names[0], "--members", names[1], "--heldout", names[2], "--device", "ref", *more)

    def rows_of(self, text):
        """Labels stand in 16 columns; lines that go on begin with blanks."""
        rows = []
        for line in text.splitlines():
            if line[0] != " ":
                rows.append([line[:16].strip(), line[16:]])
            else:
                rows[-1][1] += " " + line.strip()
        return dict(rows)

    def check_audit(self, text, j, components, covariance, splits):
        r = self.rows_of(text)
        self.assertEqual(r["statistic"], f"{j['statistic']}, seed {j['seed']}, rows normalised: {j['normalize']}")
        if j["statistic"] == "gap":
            self.assertEqual(r["mixture"], f"{components} component{'' if components == 1 else 's'}, {covariance} covariance, "
                             f"fitted on {j['n_fit']} members")
        else:
            self.assertNotIn("mixture", r)
        self.assertEqual(r["tested"], f"{j['n_members']} members, {j['n_heldout']} held-out images, {j['dim']} dimensions")
        self.assertEqual(r["mean score"], f"members {four(j['loglik_members'], 6)}, held-out {four(j['loglik_heldout'], 6)}, "
                         f"gap {four(j['gap'], 6)}")
        self.assertEqual(r["Welch's test"], f"t = {four(j['t'])}, df = {four(j['df'])}, one-sided p = {four(j['p_value'])} "
                         f"(log10 p = {four(j['log10_p'])})")
        self.assertIn(j["splits"], (1, splits))  # where an assumption is violated there are none
        if j["splits"] > 1:
            self.assertEqual(r["splits"], f"{splits}, p = {four(j['p_merged'])} merged (twice the median)")
        else:
            self.assertNotIn("splits", r)
        self.assertEqual(r["effect"], f"Cohen's d = {four(j['cohen_d'])} (95% interval {four(j['d_low'])} to {four(j['d_high'])}); "
                         f"{four(j['detectable_d'])} would be found with 80% power")
        self.assertEqual(r["verdict"], f"{j['verdict']} (alpha {j['alpha']:g})")
        self.assertEqual(r.get("because", None), j.get("reason", None))
        self.assertEqual(r["meaning"], j["meaning"])
        self.assertEqual(r["assuming"], j["assumption"])
        self.assertEqual(text.count("\nwarning "), len(j["warnings"]))
        return r

    def test_audit(self):
        x = self.rng.normal(size=(700, 6))
        h = 1.4 * self.rng.normal(size=(300, 6))
        text, j = self.audit(x[:400], x[400:], h, "--components", 1, "--normalize", "none")
        r = self.check_audit(text, j, 1, "diag", 5)
        self.assertEqual((j["verdict"], j["meaning"], j["warnings"]), ("stolen", "members score higher than held-out images", []))
        self.assertEqual(r["convergence"], "reached by the mixture")
        self.assertNotIn("images", r)
        text, j = self.audit(x[:400], x[400:], x[:300] + 0.5 * self.rng.normal(size=(300, 6)), "--components", 2, "--covariance",
                             "full", "--splits", 1, "--seed", 4)
        self.check_audit(text, j, 2, "full", 1)
        text, j = self.audit(x[:400], x[400:], h, "--statistic", "learned", "--normalize", "none", "--splits", 2)
        self.assertEqual(self.check_audit(text, j, 0, "diag", 2)["convergence"], "reached by all mixtures")
        text, j = self.audit(x[:400], x[400:], x[400:] * 1.0, "--components", 1)
        self.check_audit(text, j, 1, "diag", 5)
        self.assertEqual((j["verdict"], j["meaning"]), ("assumptions violated", "the test says nothing"))
        text, j = self.audit(x[:400], 3 * x[400:] + 1, h, "--components", 1, "--normalize", "none")  # another scale
        self.check_audit(text, j, 1, "diag", 5)
        self.assertIn("the members are not from the distribution of the rows to fit (p = ", j["reason"])
        self.assertEqual(j["verdict"], "assumptions violated")

    def test_audit_warns(self):
        """A mixture with d means and d (d + 1) / 2 covariances a component, and k - 1 weights."""
        x = self.rng.normal(size=(60, 4))
        for covariance, each in (("diag", 8), ("full", 14)):
            k = {"diag": 3, "full": 2}[covariance]
            for n in (each * k + k - 1, each * k + k - 2):
                _, j = self.audit(x[:n], x[20:60], x[:45] + 3, "--components", k, "--covariance", covariance, "--splits", 1)
                want = (f"a mixture of {k} components has {each * k + k - 1} parameters and is fitted on {n} rows: members may be "
                        f"missed (fewer --components or {'--covariance diag or ' if covariance == 'full' else ''}more rows would "
                        f"help)")
                self.assertEqual(want in j["warnings"], n < each * k + k - 1, (n, j["warnings"]))
        wide = self.rng.normal(size=(60, 10))
        for n in (9, 10):
            _, j = self.audit(wide[:n], wide[20:60], wide[:45] + 3, "--components", 1, "--splits", 1)
            self.assertEqual("the rows to fit are fewer than the dimensions: 9 and 10" in j["warnings"], n == 9)
            self.assertTrue(any("1 component has 20 parameters" in w and "(more rows would help)" in w for w in j["warnings"]))
        twice = np.vstack([x[:40], x[:3]])
        for which, label in enumerate(("rows to fit", "members", "held-out rows")):
            sets = [x[:40] + 0.1, x[:40] + 0.2, x[:40] - 0.3]
            sets[which] = np.vstack([sets[which], sets[which][:3]])
            text, j = self.audit(*sets, "--components", 1)
            self.assertEqual([w for w in j["warnings"] if "repeat" in w],
                             [f"{j['repeated_' + ('fit', 'members', 'heldout')[which]]} of the {label} repeat other rows of the same set"])
            self.check_audit(text, j, 1, "diag", 5)
        self.assertEqual(twice.shape, (43, 4))

    def test_audit_of_images(self):
        x = self.rng.normal(size=(130, 3))
        args = ["--components", 1, "--splits", 1]
        bright = self.rng.integers(0, 100, size=(60, 3, 4, 4)).astype(np.uint8)
        dark = self.rng.integers(0, 50, size=(60, 3, 4, 4)).astype(np.uint8)
        images = lambda a, b: ["--images-fit", self.save("i.npy", a), "--images-heldout", self.save("j.npy", b)]
        text, j = self.audit(x[:50], x[50:90], x[90:], *args, *images(bright, dark))
        r = self.check_audit(text, j, 1, "diag", 1)
        self.assertEqual(r["images"], f"members' and held-out ones told apart with AUC {j['images_auc']:.3f} (p = {four(j['images_p'], 2)})")
        self.assertIn("the held-out images differ from the members' in brightness, contrast or sharpness (p = ", j["reason"])
        _, last = self.audit(x[:50], x[50:90], x[90:], *args, *images(bright.transpose(0, 2, 3, 1), dark.transpose(0, 2, 3, 1)))
        self.assertEqual((last["images_p"], last["images_auc"]), (j["images_p"], j["images_auc"]))
        _, grey = self.audit(x[:50], x[50:90], x[90:], *args, *images(bright[:, :1], bright[::-1, :1]))
        self.assertNotIn("reason", grey)
        names = ["audit", "--fit", self.path / "fit.npy", "--members", self.path / "members.npy", "--heldout", self.path / "heldout.npy"]
        for a, b, says in ((bright, dark[:, :1], "of 3 channels, "), (bright, dark.astype(np.float32), "bytes of 3 channels, "),
                           (bright[:, [0, 1]], dark, "images have 1 or 3 channels, in dimension 1 or 3; these are 2 x 4 x 4"),
                           (bright[:5], dark, "images are wanted; there are 5")):
            self.refused(*names, *images(a, b), says=says)
        self.refused(*names, "--images-fit", self.path / "i.npy", says="give both or none")
        self.refused(*names, "--images-heldout", self.path / "i.npy", says="give both or none")

    # ---- bench ----

    def test_bench_of_mixtures(self):
        args = ("bench", "gmm", "--device", "ref", "--threads", 1, "--iterations", 3)
        text, j = text_and_json(*args, "--n", 3000, "--dim", 6, "--components", 1)
        self.assertEqual((j["n"], j["dim"], j["components"], j["iterations"], j["covariance"], j["device"], j["threads"]),
                         (3000, 6, 1, 3, "diag", "ref", 1))
        # one component has unit variance whatever its mean
        self.assertAlmostEqual(j["loglik"], -3 * (math.log(2 * math.pi) + 1), delta=0.2)
        lines = text.splitlines()
        self.assertEqual([x.split()[0] for x in lines], list(j))
        for line in lines:
            key, value = line[:24].strip(), line[24:]
            if "seconds" not in key:
                self.assertEqual(value, j[key] if isinstance(j[key], str) else f"{j[key]:.6g}")
        self.assertEqual(dinf(*args, "--n", 300, "--dim", 2, "--components", 2, "--seed", 1).stdout.splitlines()[-1],
                         dinf(*args, "--n", 300, "--dim", 2, "--components", 2, "--seed", 1).stdout.splitlines()[-1])
        self.assertNotEqual(dinf(*args, "--n", 300, "--dim", 2, "--components", 2, "--seed", 1).stdout.splitlines()[-1],
                            dinf(*args, "--n", 300, "--dim", 2, "--components", 2, "--seed", 2).stdout.splitlines()[-1])
        x = self.rng.normal(size=(200, 3)) * [1, 2, 3] + 4
        data, means = self.save("x.npy", x), self.save("m.npy", x[:1])
        for covariance in ("diag", "full"):
            got = text_and_json(*args, "--data", data, "--means", means, "--components", 1, "--covariance", covariance)[1]
            s = np.cov(x.T, bias=True) + 1e-6 * np.eye(3)
            s = np.diag(np.diag(s)) if covariance == "diag" else s
            d = x - x.mean(0)
            want = -0.5 * (np.einsum("ni,ij,nj->n", d, np.linalg.inv(s), d).mean() + np.linalg.slogdet(2 * np.pi * s)[1])
            self.assertAlmostEqual(got["loglik"], want, delta=1e-5)
            self.assertEqual((got["n"], got["dim"], got["covariance"]), (200, 3, covariance))
        self.refused(*args, "--data", data, "--means", means, "--components", 2, says="is 1 x 3; 2 x 3 means are wanted")
        self.refused(*args, "--data", data, "--means", self.save("w.npy", x[:1, :2]), "--components", 1, says="is 1 x 2; 1 x 3 means")
        for option in ("--n", "--dim"):
            self.refused(*args, "--data", data, option, 5, says=f"{option} has no effect: the data are read from a file")
        self.refused(*args, "--data", data, "--means", means, "--components", 1, "--seed", 1,
                     says="--seed has no effect: data and means are read from files")
        self.assertEqual(dinf(*args, "--data", data, "--components", 1, "--seed", 1).returncode, 0)
        self.refused(*args, "--data", self.path / "none.npy", says="none.npy")

    def test_other_benches(self):
        args = ("--device", "ref", "--threads", 1)
        text, j = text_and_json("bench", "train", "--arch", "resnet10", "--width", 0.0625, "--size", 8, "--batch", 3, "--steps", 2,
                                "--warmup", 1, "--lr", 0.01, *args)
        self.assertEqual((j["arch"], j["precision"], j["views"], j["recorded"]), ("resnet10", "fp32", 6, False))
        self.assertAlmostEqual(j["images_per_second"] * j["seconds_per_step"] / 6, round(j["images_per_second"] * j["seconds_per_step"] / 6, 1),
                               places=6)
        self.assertRegex(text, r"\nrecorded {16}no\n")
        self.assertTrue(j["loss"] > 0 and j["parameters"] > 1000)
        frozen = [dinf("bench", "train", "--arch", "resnet10", "--width", 0.0625, "--size", 8, "--batch", 3, "--steps", steps,
                       "--warmup", 0, "--lr", lr, "--augment", "none", "--json", *args).stdout for steps, lr in ((1, 0), (3, 0), (3, 0.01))]
        one, same, learnt = (json.loads(x)["loss"] for x in frozen)
        self.assertAlmostEqual(one, same, delta=2e-3 * one)
        self.assertNotEqual(same, learnt)
        j = text_and_json("bench", "augment", "--size", 8, "--batch", 4, "--steps", 2, *args)[1]
        self.assertEqual((j["size"], j["views_per_second"] > 0), (8, True))
        j = text_and_json("bench", "mutual-information", "--n", 500, "--dim", 4, *args)[1]
        self.assertEqual((j["n"], j["dim"]), (500, 4))
        near = text_and_json("bench", "mutual-information", "--n", 500, "--dim", 40, *args)[1]
        self.assertTrue(j["seconds"] > 0 and near["mutual_information"] != j["mutual_information"])
        j = json.loads(dinf("bench", "schedule", "--json").stdout)["schedule"]
        for row in j:
            self.assertAlmostEqual(row["ratio"], row["makespan"] / row["lower_bound"], delta=1e-4)
            self.assertTrue(row["makespan"] >= row["release_bound"] * 0.999999 >= row["lower_bound"] * 0.99999)
        self.assertEqual(dinf("bench", "schedule").returncode, 0)
        self.refused("bench", says="say what to measure")
        self.refused("bench", "gm", says="no bench \"gm\"; did you mean \"gmm\"?")
        self.refused("bench", "everything", says="it is one of train, gmm, augment, mutual-information or schedule")
        self.refused("bench", "schedule", "--device", "ref", says="unknown option '--device'")

    # ---- the rest ----

    def test_generate(self):
        done = dinf("generate", "--out", self.path / "g", "--count", 23, "--classes", 3, "--seed", 5, "--begin", 2)
        self.assertEqual((done.returncode, done.stdout), (0, f"{self.path}/g: 23 images of 3 classes\n"))
        files = [(self.path / "g" / f).read_bytes() for f in [f"data_batch_{k}.bin" for k in range(1, 6)] + ["test_batch.bin"]]
        self.assertEqual([len(f) // 3073 for f in files], [4, 5, 4, 5, 5, 4])
        records = b"".join(files)  # the test batch holds the images behind them, a fifth as many
        self.assertEqual([records[k * 3073] for k in range(27)], [(k + 2) % 3 for k in range(27)])
        self.assertEqual(len({records[k * 3073 + 1:(k + 1) * 3073] for k in range(27)}), 27)
        self.refused("generate", says="--out is required")
        self.refused("generate", "--out", self.path / "h", "--count", 4, says="count = 4 images cannot fill the 5 files of CIFAR-10")
        self.assertEqual(dinf("generate", "--out", self.path / "h", "--count", 5).returncode, 0)
        (self.path / "i" / "test_batch.bin").mkdir(parents=True)
        self.refused("generate", "--out", self.path / "i", "--count", 5, says="test_batch.bin is a folder and is not overwritten")
        self.assertEqual(len(list((self.path / "i").iterdir())), 1)

    def test_plan_names_the_device(self):
        plan = json.loads(dinf("plan", HERE / "tiny.cfg", "--set", "campaign.device=\"auto\"", "--json").stdout)
        devices = json.loads(dinf("list", "devices", "--json").stdout)["devices"]["entries"]
        self.assertIn(plan["device"], [d["name"] for d in devices if "missing" not in d])
        self.assertEqual(json.loads(dinf("plan", HERE / "tiny.cfg", "--set", "campaign.device=\"ref\"", "--json").stdout)["device"], "ref")
        one, five = (json.loads(dinf("plan", HERE / "tiny.cfg", "--ranks", n, "--json").stdout)["simulation"] for n in (1, 5))
        self.assertEqual((one["workers"], five["workers"]), (1, 4))  # one only coordinates
        self.assertLess(five["makespan"], one["makespan"])
        self.refused("plan", says="a config is wanted (usage: dinf plan")

    def test_run_words(self):
        config = self.path / "m.cfg"
        config.write_text('campaign = { name = "words"; threads = 1; device = "cpu"; };\nmock = ( { name = "a"; } );\n')
        done = dinf("run", config, cwd=self.path)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertTrue((self.path / "runs" / "words" / "results.h5").exists())  # where nothing else is said
        plan = json.loads((self.path / "runs" / "words" / "plan.json").read_text())
        self.assertEqual(plan["campaign"]["device"], "cpu")
        done = dinf("run", config, "--device", "ref", "--out", self.path / "r", "--set", "mock.a.count=2")
        self.assertEqual(done.returncode, 0, done.stderr)
        plan = json.loads((self.path / "r" / "plan.json").read_text())
        self.assertEqual((plan["campaign"]["device"], len(plan["tasks"])), ("ref", 2))
        done = dinf("run", config, "--device", "auto", "--out", self.path / "s")
        self.assertIn("device auto: ", done.stderr)
        self.assertNotIn("auto", json.loads((self.path / "s" / "plan.json").read_text())["campaign"]["device"])
        sets = [f"--set=mock.a.seconds={k}e-9" for k in range(300)]
        self.refused("plan", config, *sets, says="more than 256 times --set")
        self.assertEqual(dinf("plan", config, *sets[:256]).returncode, 0)
        self.assertEqual(dinf("run", config, *sets[:256], "--device", "cpu", cwd=self.path).returncode, 2)  # one more
        self.refused("plan", config, "--set", says="--set wants PATH=VALUE")
        self.refused("plan", config, "--set", "x", says="--set wants PATH=VALUE, not 'x'")
        self.refused("plan", config, "--ranks", says="--ranks wants a value: workers of the simulated makespan")
        self.refused("plan", config, "-r", says="unknown option '-r'")
        self.refused("plan", config, "-", says="unexpected word '-'")
        self.refused("plan", config, "--rnaks", 2, says="unknown option '--rnaks'; did you mean '--ranks'?")
        self.refused("plan", config, "--qqqqqqqqqq=2", says="unknown option '--qqqqqqqqqq' (usage: dinf plan")
        self.refused("plan", config, "--ranks=0", says="ranks = 0 is out of bounds")
        self.assertEqual(json.loads(dinf("plan", "--ranks=3", config, "--json=true").stdout)["simulation"]["workers"], 2)

    def test_task_tells_of_its_progress(self):
        config = self.path / "m.cfg"
        config.write_text('campaign = { name = "p"; threads = 1; };\nmock = ( { name = "a"; seconds = 1.1; steps = 22; } );\n')
        self.assertEqual(dinf("run", config, "--out", self.path / "p").returncode, 0)
        for f in (self.path / "p" / "tasks").glob("*.h5"):
            f.unlink()
        done = dinf("task", self.path / "p", "mock:a/0")  # to people, each five seconds
        self.assertEqual((done.returncode, done.stderr.count("progress ")), (0, 1), done.stderr)
        for f in (self.path / "p" / "tasks").glob("*.h5"):
            f.unlink()
        read, write = os.pipe()
        done = dinf("task", self.path / "p", "mock:a/0", "--progress-fd", write, pass_fds=(write,))
        os.close(write)
        self.assertEqual(done.returncode, 0, done.stderr)
        lines = os.read(read, 10000).decode().splitlines()
        self.assertTrue(3 <= len(lines) <= 7, lines)  # five a second
        self.assertTrue(all(re.match(r"progress 0(\.\d+)? ", x) for x in lines), lines)


    def test_task_runs_as_its_campaign(self):
        """On its device and with its threads, unless others are asked for."""
        config = self.path / "m.cfg"
        config.write_text('campaign = { name = "w"; threads = 3; device = "ref"; };\nmock = ( { name = "a"; } );\n')
        self.assertEqual(dinf("run", config, "--out", self.path / "w").returncode, 0)
        (result,) = (self.path / "w" / "tasks").glob("*.h5")
        for more, threads in (((), 3), (("--threads", 2), 2), (("--threads", 0), 3)):
            result.unlink()
            done = dinf("task", self.path / "w", "mock:a/0", *more)
            self.assertEqual(done.returncode, 0, done.stderr)
            with h5py.File(result) as f:
                self.assertEqual(f.attrs["threads"], threads)


if __name__ == "__main__":
    DINF = os.path.abspath(sys.argv.pop(1))
    unittest.main(verbosity=2)
