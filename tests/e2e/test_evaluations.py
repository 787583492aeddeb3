#!/usr/bin/python3
"""A small campaign's tables against what can be computed again from its arrays.

usage: test_evaluations.py DINF
"""
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import unittest

import h5py
import numpy as np
import scipy.spatial
import scipy.special
import scipy.stats

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "golden", "stats"))
from make_golden import Draws  # the random choices, written a second time

DINF = None
SAMPLE_STREAM = 9
SAMPLES = {1: 40, 2: 1000}  # images of the similarity, by the campaign's seed; there are 101
CONFIG = """
campaign = { name = "small"; seed = %(seed)d; trials = 2; threads = 1; };
datasets = (
    { name = "shapes";  format = "procedural"; classes = 6; count = 321; size = 8; },
    { name = "members"; of = "shapes"; begin = 0;   count = 101; },
    { name = "heldout"; of = "shapes"; begin = 101; count = 100; },
    { name = "outside"; of = "shapes"; begin = 201; count = 100; },
    { name = "half";    parts = ( { of = "members"; begin = 0; count = 30; },
                                  { of = "outside"; begin = 0; count = 30; } ); }
);
encoders = (
    { name = "victim"; role = "victim"; heldout = "heldout";
      train = { dataset = "members"; arch = "resnet8"; width = 0.25; augment = "weak"; epochs = 2; batch = 25; }; },
    { name = "other"; role = "independent";
      train = { dataset = "outside"; arch = "resnet8"; width = 0.25; augment = "weak"; epochs = 2; batch = 25; }; }
);
steal = ( { victim = "victim"; queries = [ "half", "members" ]; budgets = [ 10, 25 ]; loss = "mse";
            arch = "resnet8"; width = 0.25; epochs = 2; batch = 10; } );
evaluate = {
    dataset_inference = { statistics = [ "learned", "gap" ]; seeds = 2; components = 1; covariance = "diag"; };
    similarity = { obfuscations = [ "none" ]; sample = %(sample)d; };
};
"""


def prepare(x):
    x = x.astype(np.float64) - x.astype(np.float64).mean(0)
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def entropy_terms(x):
    n, d = x.shape
    r = scipy.spatial.cKDTree(x).query(x, 2)[0][:, 1]
    ball = 0.5 * d * np.log(np.pi) - scipy.special.gammaln(0.5 * d + 1)
    return d * np.log(r + 1e-10) + ball + scipy.special.psi(n) - scipy.special.psi(1)


def mi_terms(a, b):
    return entropy_terms(a) + entropy_terms(b) - entropy_terms(np.hstack([a, b]))


class Evaluations(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.files = [cls.run_campaign(seed) for seed in (1, 2)]

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    @classmethod
    def run_campaign(cls, seed):
        config, out = (os.path.join(cls.folder.name, f"{n}{seed}") for n in ("c.cfg", "run"))
        with open(config, "w") as f:
            f.write(CONFIG % {"seed": seed, "sample": SAMPLES[seed]})
        done = subprocess.run([DINF, "run", config, "--out", out, "--device", "cpu"], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return h5py.File(os.path.join(out, "results.h5"))

    def record(self, folder, task):
        """The journal's digest of a result that the test itself has changed."""
        with open(f"{folder}/tasks/{task}.h5", "rb") as f:
            digest = hashlib.sha256(f.read()).hexdigest()
        with open(f"{folder}/journal.jsonl") as f:
            lines = [json.loads(line) for line in f]
        done = [line for line in lines if line.get("id") == task and "result" in line]
        self.assertEqual(len(done), 1)
        done[0]["result"] = digest
        with open(f"{folder}/journal.jsonl", "w") as f:
            f.writelines(json.dumps(line, separators=(",", ":")) + "\n" for line in lines)

    def texts(self, column):
        return [v.decode() for v in column]

    def test_seeds(self):
        seen = set()
        for f in self.files:
            rows, similar = f["scores/dataset_inference"][:], f["scores/similarity"][:]
            for trial in (0, 1):
                seeds = set(rows["seed"][rows["trial"] == trial])
                self.assertEqual(max(seeds) - min(seeds), 1)
                self.assertEqual(set(similar["seed"][similar["trial"] == trial]), {min(seeds)})
                for e in set(rows["encoder"][rows["trial"] == trial]):
                    self.assertEqual(set(rows["seed"][rows["encoder"] == e]), seeds)
                self.assertFalse(seen & seeds)
                seen |= seeds
        self.assertEqual(len(seen), 8)

    def test_overlap_is_that_of_the_images_drawn(self):
        f = self.files[0]
        folder = os.path.dirname(f.filename)
        rows = f["encoders"][:]
        thieves = rows[rows["role"] == b"thief"]
        tasks = {t["name"].decode(): t["id"].decode() for t in f["tasks"][:]}
        shares = []
        self.assertEqual(len(thieves), 8)
        for r in thieves:
            queries, trial = r["queries"].decode(), r["trial"]
            with h5py.File(f"{folder}/tasks/{tasks[f'query:victim.t{trial}.{queries}']}.h5") as q:
                drawn = q["indices"][: r["budget"]]
            want = np.mean(drawn < 30) if queries == "half" else 1.0  # the first 30 of `half` are members
            self.assertAlmostEqual(r["overlap"], want)
            self.assertAlmostEqual(r["set_overlap"], 0.5 if queries == "half" else 1.0)
            shares.append(want)
        self.assertGreater(len(set(shares)), 2)  # not the same for all budgets
        self.assertTrue((rows["overlap"][rows["role"] != b"thief"] == -1).all())

    def test_scores_of_every_statistic(self):
        f = self.files[0]
        rows = f["scores/dataset_inference"][:]
        for encoder in set(rows["encoder"]):
            for statistic, group in ((b"learned", f["loglik"][encoder]), (b"gap", f["loglik"][encoder]["gap"])):
                a, b = group["members"][:], group["heldout"][:]
                first = rows[(rows["encoder"] == encoder) & (rows["statistic"] == statistic)][0]
                self.assertEqual((len(a), len(b)), (first["n_members"], first["n_heldout"]))
                want = scipy.stats.ttest_ind(a, b, equal_var=False, alternative="greater")
                np.testing.assert_allclose([first["t"], first["p_value"]], [want.statistic, want.pvalue], rtol=1e-8)
                self.assertIn(f"statistic {statistic.decode()}, first seed", group["members"].attrs["description"])
        self.assertTrue((rows["n_fit"] == 51).all())  # half of 101, rounded
        self.assertEqual(set(rows["n_members"]), {50})
        self.assertTrue((rows["components"] == np.where(rows["statistic"] == b"gap", 1, -1)).all())
        self.assertTrue(np.isin(rows["converged"], [0, 1]).all())

    def test_representations_in_place_of_weights(self):
        """Who hands in an encoder's representations gets the encoder's numbers."""
        f, folder = self.files[0], os.path.join(self.folder.name, "api")
        os.mkdir(folder)
        entries = []
        for name, encoder, kind in (("api", "victim.t0", "f4"), ("reseller", "other.t0", "f8")):
            for s in ("members", "heldout"):
                np.save(f"{folder}/{name}-{s}.npy", f["representations"][encoder][s][:].astype(kind))
            entries.append(f''',\n{{ name = "{name}"; role = "suspect"; representations =
                {{ members = "{name}-members.npy"; heldout = "{name}-heldout.npy"; }}; }}''')
        before = "epochs = 2; batch = 25; }; }\n);"
        self.assertEqual(CONFIG.count(before), 1)
        with open(f"{folder}/c.cfg", "w") as config:
            config.write((CONFIG % {"seed": 1, "sample": SAMPLES[1]}).replace(before, before[:-3] + "".join(entries) + "\n);"))
        done = subprocess.run([DINF, "run", "api/c.cfg", "--out", f"{folder}/run", "--device", "cpu"],
                              cwd=self.folder.name, capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        with h5py.File(f"{folder}/run/results.h5") as g:
            for table, n, columns in (
                ("scores/dataset_inference", 4, ("statistic", "t", "log10_p", "n_members", "dim", "verdict")),
                ("scores/similarity", 1, ("obfuscation", "cosine", "l2", "mutual_information", "mi_score")),
            ):
                rows = g[table][:]
                for name, encoder in ((b"api", b"victim.t0"), (b"reseller", b"other.t0")):
                    a, b = (rows[(rows["encoder"] == e) & (rows["victim"] == b"victim.t0")] for e in (name, encoder))
                    self.assertEqual(len(a), n)
                    self.assertEqual(set(a["role"]), {b"suspect"})
                    for c in columns:
                        np.testing.assert_array_equal(a[c], b[c])
                    other = rows[(rows["encoder"] == name) & (rows["victim"] == b"victim.t1")]
                    self.assertEqual(len(other), n)  # a suspect is the same in all trials
            for s in ("members", "heldout"):
                np.testing.assert_array_equal(g[f"representations/reseller/{s}"][:],
                                              np.load(f"{folder}/reseller-{s}.npy"))
                self.assertEqual(g[f"representations/api/{s}"].dtype, np.float32)
                self.assertEqual(g[f"representations/reseller/{s}"].dtype, np.float64)  # kept as they came
            tasks = g["tasks"][:]
            embedded = tasks["name"][tasks["kind"] == b"embed"]
            self.assertFalse([t for t in embedded if t.startswith((b"embed:api", b"embed:reseller"))])
        # another file is another task, and its tests are done again; nothing else is
        x = np.load(f"{folder}/api-heldout.npy")
        np.save(f"{folder}/api-heldout.npy", x[::-1])
        with h5py.File(f"{folder}/run/results.h5") as g:
            first = set(g["tasks"]["id"])
        done = subprocess.run([DINF, "run", f"{folder}/c.cfg", "--out", f"{folder}/run", "--device", "cpu"],
                              capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        with h5py.File(f"{folder}/run/results.h5") as g:
            new = {t["name"] for t in g["tasks"] if t["id"] not in first}
        self.assertEqual(new, {b"representations:api/heldout", b"dataset_inference:api@victim.t0",
                               b"dataset_inference:api@victim.t1"})

    def test_mutual_information_and_its_interval(self):
        rows = [(f, SAMPLES[seed], row) for f, seed in zip(self.files, (1, 2)) for row in f["scores/similarity"][:]]
        for f, sample, row in rows:
            if sample > 40 and row["encoder"].startswith(b"other"):
                continue  # whose representations another test replaces
            images = Draws(int(row["seed"]), SAMPLE_STREAM, 0).permutation(101)[:sample] if sample < 101 else range(101)
            of = lambda e: prepare(f["representations"][e]["members"][:][np.array(images)])
            victim = row["victim"].decode()
            self.assertEqual(row["n"], min(sample, 101))
            v, s, r = of(victim), of(row["encoder"].decode()), of(victim + ".random")
            terms, ends = mi_terms(v, s), [mi_terms(v, r).mean(), mi_terms(v, v).mean()]
            ci = 2.576 * scipy.stats.sem(terms)
            self.assertEqual((row["duplicates"], row["reason"]), (0, b""))
            np.testing.assert_allclose([row["mutual_information"], row["mi_random"], row["mi_self"]],
                                       [terms.mean(), *ends], rtol=1e-6)
            np.testing.assert_allclose(row["mutual_information_ci"], ci, rtol=1e-5, atol=1e-6)
            np.testing.assert_allclose(row["mi_score"], np.clip((terms.mean() - ends[0]) / (ends[1] - ends[0]), 0, 1),
                                       rtol=1e-6, atol=1e-9)
            np.testing.assert_allclose(row["mi_score_ci"], ci / (ends[1] - ends[0]), rtol=1e-5, atol=1e-6)

    def test_collapsed_suspect_has_a_reason_instead_of_numbers(self):
        folder = os.path.dirname(self.files[1].filename)
        tasks = {t["name"].decode(): t["id"].decode() for t in self.files[1]["tasks"][:]}
        self.files[1].close()
        scores = f"{folder}/tasks/{tasks['similarity:other.t0@victim.t0']}.h5"
        for what, says in (("all", b"the second representations are the same for all 101 images"),
                           ("half", b"50 of 101 rows of the second representations are repeated exactly")):
            with h5py.File(f"{folder}/tasks/{tasks['embed:other.t0/members']}.h5", "r+") as f:
                x = f["representations"][:]
                x[: 101 if what == "all" else 50] = x[0]
                if what == "half":
                    x[50:] = np.random.default_rng(1).normal(size=x[50:].shape)
                f["representations"][:] = x
            os.remove(scores)
            done = subprocess.run([DINF, "task", folder, "similarity:other.t0@victim.t0"], capture_output=True, text=True)
            self.assertEqual(done.returncode, 1)  # not with a representation that is not the task's
            self.assertIn("is damaged or another task's", done.stderr)
            self.record(folder, tasks["embed:other.t0/members"])
            done = subprocess.run([DINF, "task", folder, "similarity:other.t0@victim.t0"], capture_output=True, text=True)
            self.assertEqual(done.returncode, 0, done.stderr)
            with h5py.File(scores) as f:
                row = f["scores/similarity"][0]
            self.assertIn(says, row["reason"])
            for name in ("mutual_information", "mutual_information_ci", "mi_score", "mi_score_ci"):
                self.assertTrue(np.isnan(row[name]), name)
            for name in ("cosine", "l1", "l2_score", "l2_score_ci"):
                self.assertEqual(bool(np.isnan(row[name])), what == "all", name)
        self.files[1] = h5py.File(f"{folder}/results.h5")


if __name__ == "__main__":
    DINF = os.path.abspath(sys.argv.pop(1))
    unittest.main(verbosity=2)
