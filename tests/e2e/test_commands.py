#!/usr/bin/python3
"""The commands that scripts call, against independent implementations.

usage: test_commands.py DINF

audit against scikit-learn and SciPy, compare against NumPy, and what bad input
gets. (embed: tests/golden/nn/check_torchvision.py.)
"""
import hashlib
import json
import os
import pathlib
import shlex
import signal
import stat
import subprocess
import sys
import tempfile
import unittest

import h5py
import numpy as np
import scipy.ndimage
import scipy.spatial
import scipy.special
import scipy.stats
from sklearn.mixture import GaussianMixture
from sklearn.preprocessing import StandardScaler, normalize

DINF = None
CONFIGS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "configs")
DEMO, MOCK = os.path.join(CONFIGS, "demo.cfg"), os.path.join(CONFIGS, "mock.cfg")


def dinf(*args, env=None):
    return subprocess.run([DINF, *map(str, args)], capture_output=True, text=True,
                          env={**os.environ, **(env or {})})


def dinf_json(*args):
    done = dinf(*args, "--json")
    if done.returncode != 0:
        raise AssertionError(f"{args}: exit {done.returncode}: {done.stderr}")
    lines = done.stdout.splitlines()
    assert len(lines) == 1, done.stdout
    return json.loads(lines[0])


def unwrapped(text):
    """Lines are broken before column 80."""
    return " ".join(text.split())


def without_provenance(answer):
    return {k: v for k, v in answer.items() if k != "provenance"}


class Commands(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.rng = np.random.default_rng(5)

    def tearDown(self):
        self.folder.cleanup()

    def path(self, name):
        return os.path.join(self.folder.name, name)

    def save(self, name, x):
        np.save(self.path(name), x)
        return self.path(name)

    # ---- audit ----

    def three(self, shift=0.0, d=12, dtype=np.float64):
        centres = self.rng.normal(size=(3, d)) * 4
        draw = lambda n: centres[self.rng.integers(3, size=n)] + self.rng.normal(size=(n, d))
        fit, members, heldout = draw(900), draw(700), draw(800) * (1 + shift)
        names = [self.save(f"{n}.npy", x.astype(dtype)) for n, x in
                 (("fit", fit), ("members", members), ("heldout", heldout))]
        return names, (fit, members, heldout)

    def check_audit(self, covariance, components):
        (f, m, h), (fit, members, heldout) = self.three(shift=0.2)
        got = dinf_json("audit", "--fit", f, "--members", m, "--heldout", h, "--components", components,
                        "--covariance", covariance, "--normalize", "none")
        g = GaussianMixture(components, covariance_type=covariance, n_init=5, random_state=0, tol=1e-6,
                            max_iter=1000).fit(fit)
        a, b = g.score_samples(members), g.score_samples(heldout)
        want = scipy.stats.ttest_ind(a, b, equal_var=False, alternative="greater")
        self.assertEqual((got["n_members"], got["n_heldout"], got["dim"]), (700, 800, 12))
        tolerance = dict(rel_tol=1e-9) if components == 1 else dict(rel_tol=2e-3)
        for name, value in (("loglik_members", a.mean()), ("loglik_heldout", b.mean()), ("gap", a.mean() - b.mean()),
                            ("t", want.statistic)):
            self.assertTrue(np.isclose(got[name], value, rtol=tolerance["rel_tol"]), (name, got[name], value))
        self.assertAlmostEqual(got["log10_p"], np.log10(got["p_value"]), places=9)
        self.assertTrue(np.isclose(got["p_value"], scipy.stats.t.sf(got["t"], got["df"]), rtol=1e-9))
        pooled = np.sqrt(((len(a) - 1) * a.var(ddof=1) + (len(b) - 1) * b.var(ddof=1)) / (len(a) + len(b) - 2))
        self.assertTrue(np.isclose(got["cohen_d"], (a.mean() - b.mean()) / pooled, rtol=tolerance["rel_tol"]))
        self.assertEqual(got["verdict"], "stolen")

    def test_audit_equals_scikit_learn(self):
        self.check_audit("diag", 1)
        self.check_audit("full", 1)
        self.check_audit("diag", 3)
        self.check_audit("full", 3)

    def test_audit_of_alike_sets_is_inconclusive(self):
        (f, m, h), _ = self.three()
        for statistic in (("gap", "--components", 3), ("learned",)):
            got = dinf_json("audit", "--fit", f, "--members", m, "--heldout", h, "--statistic", *statistic,
                            "--alpha", 1e-4)
            self.assertEqual(got["verdict"], "inconclusive", got)
            self.assertEqual(got["alpha"], 1e-4)

    def test_audit_learns_the_direction(self):
        d = 8
        x = self.rng.normal(size=(1200, d))
        f, m = self.save("f.npy", x[:600]), self.save("m.npy", x[600:])
        h = self.save("h.npy", 0.8 * self.rng.normal(size=(1200, d)))  # held-out *more* likely
        files = ("audit", "--fit", f, "--members", m, "--heldout", h, "--normalize", "none")
        gap = dinf_json(*files, "--components", 1)
        learned = dinf_json(*files, "--statistic", "learned", "--seed", 3)
        self.assertEqual(gap["verdict"], "inconclusive")
        self.assertLess(gap["t"], -3)
        self.assertEqual(learned["verdict"], "stolen")
        self.assertEqual((learned["n_members"], learned["n_heldout"], learned["seed"]), (600, 600, 3))
        again = dinf_json(*files, "--statistic", "learned", "--seed", 3)
        self.assertEqual(without_provenance(learned), without_provenance(again))
        self.assertIsNone(learned["components"])  # it fits mixtures of 1 to 5
        self.assertEqual(gap["components"], 1)

    def test_audit_says_whether_mixtures_converged(self):
        (f, m, h), _ = self.three()
        for statistic, mixtures in (("gap", 1), ("learned", 15)):
            args = ("audit", "--fit", f, "--members", m, "--heldout", h, "--statistic", statistic, "--splits", 1)
            self.assertIs(dinf_json(*args)["converged"], True)
            self.assertIn("convergence     reached", dinf(*args).stdout)
            self.assertIs(dinf_json(*args, "--max-iterations", 1)["converged"], False)
            self.assertIn(f"not reached: {mixtures} of {mixtures} mixture", dinf(*args, "--max-iterations", 1).stdout)
        few = self.save("few.npy", self.rng.normal(size=(12, 12)))
        self.assertIsNone(dinf_json("audit", "--fit", few, "--members", m, "--heldout", h, "--statistic",
                                    "learned")["converged"])

    def test_audit_help_says_how_held_out_rows_are_cut(self):
        text = " ".join(dinf("audit", "--help").stdout.split())
        self.assertIn("the statistic learned cuts this file by the seed in the proportion of the rows in `fit` and "
                      "`members`", text)

    def test_audit_reads_hdf5_and_float32(self):
        (f, m, h), (fit, members, heldout) = self.three(shift=0.2, dtype=np.float32)
        with h5py.File(self.path("r.h5"), "w") as file:
            file["a/fit"], file["a/members"], file["a/heldout"] = (x.astype(np.float32) for x in
                                                                    (fit, members, heldout))
        r = self.path("r.h5")
        h5 = dinf_json("audit", "--fit", f"{r}:/a/fit", "--members", f"{r}:/a/members", "--heldout", f"{r}:/a/heldout")
        self.assertEqual(without_provenance(dinf_json("audit", "--fit", f, "--members", m, "--heldout", h)),
                         without_provenance(h5))
        digest = hashlib.sha256(pathlib.Path(r).read_bytes()).hexdigest()
        self.assertEqual([i["sha256"] for i in h5["provenance"]["inputs"]], [digest] * 3)
        self.assertEqual(h5["provenance"]["inputs"][1]["file"], f"{r}:/a/members")

    def test_audit_of_sets_that_overlap_violates_assumptions(self):
        (f, m, h), _ = self.three()
        got = dinf_json("audit", "--fit", f, "--members", m, "--heldout", m)
        self.assertEqual(got["verdict"], "assumptions violated")

    def audit_rows(self, fit, members, heldout, *more):
        files = [self.save(f"{n}.npy", x) for n, x in (("fit", fit), ("members", members), ("heldout", heldout))]
        return dinf_json("audit", "--fit", files[0], "--members", files[1], "--heldout", files[2], *more)

    def check_exact_gap(self, got, fit, members, heldout):
        """One Gaussian with a diagonal covariance has a closed form."""
        mean, var = fit.mean(0), fit.var(0) + 1e-6
        a, b = (-0.5 * ((x - mean) ** 2 / var + np.log(2 * np.pi * var)).sum(1) for x in (members, heldout))
        want = scipy.stats.ttest_ind(a, b, equal_var=False, alternative="greater")
        np.testing.assert_allclose([got["loglik_members"], got["loglik_heldout"], got["t"], got["p_value"]],
                                   [a.mean(), b.mean(), want.statistic, want.pvalue], rtol=1e-7)

    def test_audit_prepares_all_three_files(self):
        _, sets = self.three(shift=0.1)
        sets = [x * np.linspace(0.5, 3, x.shape[1]) + 1 for x in sets]
        scaler = StandardScaler().fit(np.vstack(sets))
        for how, prepare in (("none", lambda x: x), ("l2", normalize),
                             ("standardize", lambda x: normalize(scaler.transform(x)))):
            got = self.audit_rows(*sets, "--components", 1, "--normalize", how)
            self.check_exact_gap(got, *map(prepare, sets))
        self.check_exact_gap(self.audit_rows(*sets, "--components", 1), *map(normalize, sets))  # l2 is the default

    def test_audit_does_not_standardize_rounding(self):
        for constant in (0.1, 1 / 3, -7e-5, 12345.678, 0.0):
            sets = [self.rng.normal(size=(n, 6)) for n in (60, 50, 47)]
            for x in sets:
                x[:, 5] = constant
            scaler = StandardScaler().fit(np.vstack(sets)[:, :5])
            want = [np.hstack([normalize(scaler.transform(x[:, :5])), np.zeros((len(x), 1))]) for x in sets]
            got = self.audit_rows(*sets, "--components", 1, "--normalize", "standardize")
            self.check_exact_gap(got, *want)

    def test_audit_merges_splits(self):
        (f, m, h), _ = self.three(shift=0.03)
        args = ("audit", "--fit", f, "--members", m, "--heldout", h, "--components", 2)
        for n in (2, 5, 8):
            got = dinf_json(*args, "--splits", n)
            p = got["split_p_values"]
            self.assertEqual((got["splits"], len(p), len(set(p))), (n, n, n))
            self.assertEqual(p[0], got["p_value"])
            self.assertAlmostEqual(got["p_merged"], min(1, 2 * np.median(p)), delta=1e-12 * got["p_merged"])
            self.assertAlmostEqual(got["log10_p_merged"], np.log10(got["p_merged"]), places=9)
        self.assertEqual(without_provenance(dinf_json(*args)), without_provenance(dinf_json(*args, "--splits", 5)))
        one = dinf_json(*args, "--splits", 1)
        self.assertEqual((one["splits"], one["p_merged"]), (1, one["p_value"]))
        self.assertEqual(one["p_value"], got["p_value"])  # the files' own cut stays what it is
        alpha = (one["p_value"] + min(1, got["p_merged"])) / 2
        self.assertLess(one["p_value"], got["p_merged"])
        self.assertEqual([dinf_json(*args, "--splits", n, "--alpha", alpha)["verdict"] for n in (1, 8)],
                         ["stolen", "inconclusive"])

    def test_audit_says_how_large_and_what_could_be_found(self):
        got = dinf_json("audit", *sum(zip(("--fit", "--members", "--heldout"), self.three(shift=0.2)[0]), ()))
        n, m, d, z = got["n_members"], got["n_heldout"], got["cohen_d"], scipy.stats.norm.ppf
        half = z(0.975) * np.sqrt(1 / n + 1 / m + d * d / (2 * (n + m)))
        np.testing.assert_allclose([got["d_low"], got["d_high"]], [d - half, d + half], rtol=1e-9)
        power = lambda e: scipy.stats.nct.sf(scipy.stats.t.isf(0.025, n + m - 2), n + m - 2,
                                             e / np.sqrt(1 / n + 1 / m))  # at half of alpha: p is twice the median
        self.assertAlmostEqual(power(got["detectable_d"]), 0.8, delta=2e-3)

    def test_audit_finds_members_of_another_encoder(self):
        n, d = 150, 24
        mix = self.rng.normal(size=(d, d)) / np.sqrt(d)
        draw = lambda: np.maximum(self.rng.normal(size=(n, d)) @ mix + 0.3, 0)
        turn = np.linalg.qr(self.rng.normal(size=(d, d)))[0]
        for change in (lambda x: x @ turn, lambda x: 1.5 * x, lambda x: x[:, ::-1]):
            got = self.audit_rows(draw(), change(draw()), draw())
            self.assertEqual(got["verdict"], "assumptions violated")
            self.assertIn("not from the distribution of the rows to fit", got["reason"])
            self.assertLess(got["exchangeable_p"], 1e-6)
        p = [self.audit_rows(draw(), draw(), draw(), "--splits", 1)["exchangeable_p"] for _ in range(40)]
        self.assertGreater(min(p), 1e-3)

    def test_audit_warns_of_more_parameters_than_rows(self):
        x = self.rng.normal(size=(160, 60))
        got = self.audit_rows(x[:50], x[50:100], x[100:])
        self.assertEqual(len(got["warnings"]), 2)
        self.assertIn(f"{10 * 2 * 60 + 9} parameters and is fitted on 50 rows", got["warnings"][0])
        self.assertIn("50 and 60", got["warnings"][1])
        self.assertEqual(self.audit_rows(*(self.rng.normal(size=(3, 200, 4))), "--components", 2)["warnings"], [])

    def test_audit_warns_of_what_it_accepts(self):
        sets = list(self.rng.normal(size=(3, 400, 4)))
        for k, name in enumerate(("rows to fit", "members", "held-out rows")):
            repeated = [np.concatenate((x, x[:3])) if i == k else x for i, x in enumerate(sets)]
            self.assertEqual(self.audit_rows(*repeated, "--components", 1)["warnings"],
                             [f"3 of the {name} repeat other rows of the same set"])
        self.assertEqual(self.audit_rows(*sets, "--components", 3, "--max-iterations", 2)["warnings"],
                         ["1 of 1 mixtures stopped before they converged (--max-iterations)"])

    def test_audit_always_says_what_it_assumes(self):
        for shift in (0.0, 0.3):
            (f, m, h), _ = self.three(shift=shift)
            args = ("audit", "--fit", f, "--members", m, "--heldout", h, "--components", 3)
            done = dinf(*args)
            for key, line in (("meaning", "meaning"), ("assumption", "assuming")):
                self.assertIn(f"{line} {dinf_json(*args)[key]}", unwrapped(done.stdout))
            self.assertIn("members score higher than held-out images", done.stdout)

    def pictures(self, n):
        """Smooth random images, brightness and contrast of their own."""
        x = scipy.ndimage.gaussian_filter(self.rng.normal(size=(n, 3, 12, 12)), (0, 0, 1, 1)) * 150
        x = x * self.rng.uniform(0.5, 1.2, (n, 1, 1, 1)) + self.rng.normal(120, 25, (n, 1, 1, 1))
        return np.clip(x, 0, 255).astype(np.uint8)

    def test_audit_compares_images(self):
        rows = [self.save(f"{n}.npy", self.rng.normal(size=(60, 4))) for n in "fmh"]
        args = ("audit", "--fit", rows[0], "--members", rows[1], "--heldout", rows[2], "--components", 1, "--splits", 1)
        a, flat = self.pictures(300), self.pictures(300)
        flat = (128 + 0.8 * (flat - 128.0)).astype(np.uint8)
        a = self.save("a.npy", a)
        for x in (flat, flat.transpose(0, 2, 3, 1)):
            got = dinf_json(*args, "--images-fit", a, "--images-heldout", self.save("flat.npy", x))
            self.assertEqual(got["verdict"], "assumptions violated")
            self.assertIn("the held-out images differ", got["reason"])
            self.assertLess(got["images_p"], 0.01)
            self.assertGreater(got["images_auc"], 0.55)
        p = []
        for seed in range(20):
            x = self.pictures(600)
            a, b = self.save("a.npy", x[:300]), self.save("b.npy", x[300:])
            p.append(dinf_json(*args, "--images-fit", a, "--images-heldout", b, "--seed", seed)["images_p"])
        self.assertGreater(min(p), 0.01)
        self.assertIsNone(dinf_json(*args)["images_p"])

    def test_provenance_of_answers(self):
        a, b = (self.save(f"{n}.npy", self.rng.normal(size=(50, 4))) for n in "ab")
        version = dinf("--version").stdout
        for args in (("audit", "--fit", a, "--members", b, "--heldout", b), ("compare", a, b)):
            got = dinf_json(*args)["provenance"]
            self.assertEqual(got["command"], ["dinf", *args, "--json"])
            self.assertIn(got["dinf_version"], version)
            self.assertIn("library_openblas", got)
            self.assertRegex(got["time"], r"^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
            for i, name in zip(got["inputs"], (a, b, b)):
                self.assertEqual(i["sha256"], hashlib.sha256(pathlib.Path(name).read_bytes()).hexdigest())
                self.assertEqual(i["file"], name)

    # ---- what must not become a verdict ----

    def test_audit_of_repeated_rows_violates_assumptions(self):
        (f, m, h), (_, members, heldout) = self.three()
        audit = ("audit", "--fit", f, "--members", m, "--heldout", h, "--components", 1)
        self.assertEqual(dinf_json(*audit)["verdict"], "inconclusive")
        np.save(m, np.concatenate((members, members[:7])))  # one in a hundred is accepted
        self.assertEqual(dinf_json(*audit)["verdict"], "inconclusive")
        np.save(m, np.concatenate((members, members[:8])))
        self.assertIn("8 of 708 rows of the members repeat", dinf_json(*audit)["reason"])
        np.save(m, members)
        np.save(h, np.repeat(heldout, 4, axis=0))
        for statistic in ("gap", "learned"):
            got = dinf_json("audit", "--fit", f, "--members", m, "--heldout", h, "--statistic", statistic)
            self.assertEqual(got["verdict"], "assumptions violated")

    def test_audit_takes_zeros_of_either_sign_for_equal(self):
        rows = np.maximum(self.rng.normal(size=(100, 24)), 0)
        f, m = self.save("f.npy", rows), self.save("m.npy", np.where(rows == 0, -0.0, rows))
        h = self.save("h.npy", np.maximum(self.rng.normal(size=(120, 24)), 0))
        got = dinf_json("audit", "--fit", f, "--members", m, "--heldout", h, "--components", 1)
        self.assertEqual(got["verdict"], "assumptions violated")
        self.assertIn("100 of 100 rows of the members are also in the rows to fit", got["reason"])

    # ---- help ----

    def test_help(self):
        """Every command says what it is in 80 columns, by any of four ways, with examples of options that it has."""
        first = dinf("--help").stdout
        self.assertEqual([dinf(w).stdout for w in ("help", "-h")], [first] * 2)
        names = [line.split()[0] for line in first.splitlines() if line.startswith("  ")]
        self.assertGreaterEqual(len(names), 11)
        benches = [["bench", w] for w in ("train", "gmm", "augment", "mutual-information", "schedule")]
        for command in [[name] for name in names] + benches:
            text = dinf(*command, "--help").stdout
            self.assertTrue(text.startswith("usage: dinf " + " ".join(command)), command)
            self.assertEqual([dinf("help", *command).stdout, dinf(*command, "-h").stdout], [text] * 2, command)
            self.assertLessEqual(max(map(len, text.splitlines())), 80, command)
            examples = text.split("\nexamples:\n")[1].replace("\\\n", " ").splitlines()
            self.assertTrue(examples, command)
            for line in examples:
                words = line[line.index("dinf ") :].split()[1:]
                self.assertEqual(words[0], command[0])
                done = dinf(*words, "--help")
                self.assertEqual((done.returncode, done.stderr), (0, ""), line)
        for line in first.splitlines() + dinf("list").stdout.splitlines():
            self.assertLessEqual(len(line), 80, line)
        self.assertEqual(dinf("-V").stdout, dinf("--version").stdout)
        self.assertRegex(dinf("-V").stdout, r"^dinf \d+\.\d+\.\d+ \([^()]+\): onednn [^();]+; openblas [^();]+\n$")
        old = {"OPENBLAS_CORETYPE": "Nehalem", "ONEDNN_MAX_CPU_ISA": "SSE41"}
        said = {"onednn": "up to SSE4.1", "openblas": "kernels for Nehalem"}
        devices = {d["name"]: d for d in json.loads(dinf("list", "devices", "--json", env=old).stdout)["devices"]["entries"]}
        for name, words in said.items():
            self.assertIn(words, dinf("--version", env=old).stdout)
            self.assertIn(words, " ".join(dinf("list", "devices", env=old).stdout.split()))
            self.assertIn(words, devices["cpu"]["libraries"][name])
        self.assertNotIn("libraries", devices["ref"])
        self.refused("help", "adit", says="did you mean 'audit'?")
        self.refused("lits", says="did you mean 'list'?")

    def test_reports_fit_in_80_columns(self):
        draw = lambda name, n, scale=1.0: self.save(name, scale * self.rng.normal(size=(n, 24)))
        f, m, h = draw("f.npy", 120), draw("m.npy", 120), draw("h.npy", 120, 3)
        flat, twice = self.save("flat.npy", np.ones((120, 24))), self.save("twice.npy", np.ones((120, 30)))
        audit = lambda m, h, *more: ("audit", "--fit", f, "--members", m, "--heldout", h, *more)
        seen = ""
        for command in (audit(m, h), audit(f, h), audit(flat, h), audit(m, h, "--statistic", "learned"),
                        audit(m, h, "--components", 50, "--max-iterations", 1), ("compare", f, m),
                        ("compare", f, flat), ("compare", flat, twice), ("bench", "schedule")):
            done = dinf(*command)
            self.assertEqual((done.returncode, done.stderr), (0, ""), command)
            for line in done.stdout.splitlines():
                self.assertLessEqual(len(line), 79, line)
            seen += done.stdout
        for word in ("\nwarning", "\nbecause", "\nnan", "\nassuming", "\n" + 16 * " "):
            self.assertIn(word, seen)

    # ---- outputs ----

    def test_output_is_checked_to_its_end(self):
        for words in (("plan", DEMO, "--json"), ("plan", DEMO), ("list",), ("--help",), ("--version",)):
            with open("/dev/full", "w") as full:
                done = subprocess.run([DINF, *words], stdout=full, stderr=subprocess.PIPE, text=True)
            self.assertEqual(done.returncode, 2, words)
            self.assertIn("standard output", done.stderr)

    def test_a_reader_that_leaves_is_no_error(self):
        for words in (("plan", DEMO, "--json"), ("list",), ("--help",)):
            for ignored in (False, True):  # SIGPIPE ends the program, or is ignored as under some daemons
                ends = os.pipe()
                os.close(ends[0])
                done = subprocess.run([DINF, *words], stdout=ends[1], stderr=subprocess.PIPE, text=True,
                                      restore_signals=not ignored)
                os.close(ends[1])
                self.assertEqual((done.returncode, done.stderr), (0 if ignored else -signal.SIGPIPE, ""), words)

    def test_closed_descriptors_stay_out_of_the_files(self):
        for closed in (">&- 2>&-", "2>&-", "<&- >&- 2>&-"):
            folder = self.path("run" + closed)
            words = [DINF, "run", MOCK, "--out", folder]
            command = " ".join(map(shlex.quote, words)) + " " + closed
            self.assertEqual(subprocess.run(["bash", "-c", command]).returncode, 0, closed)
            with open(os.path.join(folder, "journal.jsonl")) as journal:
                for line in journal:
                    json.loads(line)

    def test_evidence_is_not_overwritten(self):
        images = self.save("images.npy", np.zeros((2, 3, 8, 8), np.uint8))
        weights = self.path("w.safetensors")
        self.write_safetensors(weights, {"conv1.weight": np.zeros((64, 3, 3, 3), np.float32)})
        link, device, target = self.path("link.npy"), self.path("device"), self.path("target.npy")
        os.link(images, self.path("hard.npy"))
        os.symlink(weights, link)
        os.mkfifo(device)
        embed = ("embed", "--weights", weights, "--arch", "resnet10", "--images", images, "--out")
        for out, says in ((weights, "--weights"), (images, "--images"), (self.path("hard.npy"), "--images"),
                          (link, "--weights"), (device, "not a regular file"), (self.folder.name, "a folder")):
            before = [pathlib.Path(p).read_bytes() for p in (weights, images)]
            self.refused(*embed, out, says=says)
            self.assertEqual(before, [pathlib.Path(p).read_bytes() for p in (weights, images)])
        node = self.path("node")
        try:
            os.mknod(node, stat.S_IFCHR | 0o666, os.makedev(1, 3))
        except PermissionError:
            pass  # root alone makes one, and root alone could replace one
        else:
            self.refused(*embed, node, says="not a regular file")
            self.assertTrue(stat.S_ISCHR(os.stat(node).st_mode))
        os.symlink(self.path("nothing"), self.path("dangling"))
        self.refused(*embed, self.path("dangling"), says="cannot follow the link")
        self.refused(*embed, self.path("new/"), says="names no file")
        os.remove(link)
        open(target, "w").close()
        os.symlink(target, link)  # written through
        done = dinf("embed", "--weights", self.encoder(), "--arch", "resnet10", "--width", "0.125", "--images", images,
                    "--out", link)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertTrue(os.path.islink(link))
        self.assertEqual(np.load(target).shape[0], 2)

    def encoder(self, edit=lambda tensors: None, metadata=None):
        """Weights of a small ResNet-10, as PyTorch names and shapes them."""
        tensors, c_in = {}, 3

        def conv(name, c_out, c_in, k):
            tensors[name + ".weight"] = self.rng.normal(size=(c_out, c_in, k, k)).astype(np.float32) * 0.1

        def norm(name, c):
            for part, value in (("weight", 1), ("bias", 0), ("running_mean", 0), ("running_var", 1)):
                tensors[f"{name}.{part}"] = np.full(c, value, np.float32)

        conv("conv1", 8, 3, 3), norm("bn1", 8)
        c_in = 8
        for layer, c in enumerate((8, 16, 32, 64), 1):
            block = f"layer{layer}.0."
            conv(block + "conv1", c, c_in, 3), norm(block + "bn1", c), conv(block + "conv2", c, c, 3)
            norm(block + "bn2", c)
            if layer > 1:
                conv(block + "downsample.0", c, c_in, 1), norm(block + "downsample.1", c)
            c_in = c
        edit(tensors)
        self.write_safetensors(self.path("encoder.safetensors"), tensors, metadata)
        return self.path("encoder.safetensors")

    def test_negative_variances_are_refused(self):
        def edit(tensors):
            tensors["layer2.0.bn1.running_var"][3] = -0.001  # NaN everywhere in PyTorch
        images = self.save("images.npy", np.zeros((2, 3, 8, 8), np.uint8))
        self.refused("embed", "--weights", self.encoder(edit), "--arch", "resnet10", "--width", "0.125", "--images",
                     images, "--out", self.path("r.npy"), says="layer2.0.bn1.running_var holds a negative variance")

    # ---- configs as editors write them ----

    def test_configs_in_other_encodings(self):
        with open(MOCK, "rb") as f:
            text = f.read()
        plans = []
        for name, data in (("plain.cfg", text), ("bom.cfg", b"\xef\xbb\xbf" + text)):
            with open(self.path(name), "wb") as f:
                f.write(data)
            plans.append(dinf_json("plan", self.path(name))["tasks"])
        self.assertEqual(plans[0], plans[1])
        for data in ("# é\n".encode("latin-1"), b"# \xc0\xaf\n", b"# \xed\xa0\x80\n", b"# \xe2\x82"):
            with open(self.path("bad.cfg"), "wb") as f:
                f.write(b"# 1\n" + data)
            self.refused("plan", self.path("bad.cfg"), says="bad.cfg:2: this is not UTF-8 text")

    # ---- compare ----

    def test_compare_tells_close_neighbours_apart(self):
        """Two rows are equal and a third is 1e-9 away: two are left out, at whatever place they are."""
        for n, d, at in ((300, 8, (0, 1, 2)), (600, 64, (3, 500, 598)), (600, 64, (599, 7, 40))):
            a = self.rng.normal(size=(n, d))
            b = 0.5 * a + self.rng.normal(size=(n, d))
            a[at[1]] = a[at[0]]
            a[at[2]] = a[at[0]] + 1e-9 * self.rng.normal(size=d)
            got = dinf_json("compare", self.save("a.npy", a), self.save("b.npy", b))
            prepare = lambda x: (x - x.mean(0)) / np.linalg.norm(x - x.mean(0), axis=1, keepdims=True)
            u, v = prepare(a), prepare(b)
            keep = ~np.isin(np.arange(n), at[:2])
            log = lambda x: np.log(scipy.spatial.cKDTree(x).query(x, 2)[0][:, 1] + 1e-10)
            ball = lambda k: 0.5 * k * np.log(np.pi) - scipy.special.gammaln(0.5 * k + 1)
            terms = (d * log(u) + d * log(v) - 2 * d * log(np.hstack([u, v])))[keep]
            constant = 2 * ball(d) - ball(2 * d) + scipy.special.psi(n) - scipy.special.psi(1)
            self.assertEqual(got["duplicates"], 2)
            self.assertAlmostEqual(got["mutual_information"], terms.mean() + constant, places=5)

    def test_compare_reads_what_numpy_writes(self):
        """Whatever type, order and version a file has, the numbers are those of the same values in doubles."""
        rows = self.rng.integers(0, 2, size=(30, 6)) * 100 + self.rng.integers(0, 20, size=(30, 6))
        other = self.save("other.npy", self.rng.normal(size=(30, 6)))
        for code in ("b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8"):
            x = rows % 2 if code == "b1" else rows + 0.37 * (code[0] == "f")
            x = x.astype(code)
            want = without_provenance(dinf_json("compare", self.save("wide.npy", x.astype(np.float64)), other))
            for order, byte_order, version in (("C", ">", (2, 0)), ("F", "<", (1, 0)), ("F", ">", (3, 0))):
                with open(self.path("x.npy"), "wb") as f:
                    np.lib.format.write_array(f, np.array(x, dtype=byte_order + code, order=order), version)
                got = dinf_json("compare", self.path("x.npy"), other)
                self.assertEqual(without_provenance(got), want, (code, order, byte_order, version))

    def test_embed_reads_what_numpy_writes(self):
        """The same pixels, the same representations to the bit; the same floats likewise."""
        weights = self.encoder()
        pixels = self.rng.integers(0, 256, size=(3, 3, 8, 8))
        floats = self.rng.normal(size=(3, 3, 8, 8)).astype(np.float16)

        def embed(x, *more):
            done = dinf("embed", "--weights", weights, "--arch", "resnet10", "--width", "0.125", "--device", "ref",
                        "--images", self.save("x.npy", x), "--out", self.path("r.npy"), *more)
            self.assertEqual(done.returncode, 0, done.stderr)
            return np.load(self.path("r.npy"))
        want = embed(pixels.astype(np.uint8))
        for x in (pixels.astype(">i2"), np.asfortranarray(pixels.astype(np.uint64)), pixels.transpose(0, 2, 3, 1)):
            np.testing.assert_array_equal(embed(x), want)
        want = embed(floats.astype(np.float32))
        for x in (floats, floats.astype(">f8"), np.asfortranarray(floats), floats.transpose(0, 2, 3, 1)):
            np.testing.assert_array_equal(embed(x), want)
        mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
        normal = (pixels / 255 - mean[:, None, None]) / std[:, None, None]
        for size in ((), ("--crop", 5), ("--size", 12), ("--size", 10, "--crop", 7)):  # bytes are rounded where resized
            a, b = embed(pixels, *size), embed(normal, *size)
            self.assertLess(np.abs(a - b).max() / np.abs(b).max(), 1e-2 if "--size" in size else 1e-5, size)

    def test_embed_with_own_weights_makes_images_the_file_s_size(self):
        """Bytes and floats of another size than the encoder's input: both are resized to it."""
        own = {"format": "dinf.encoder.1", "arch": "resnet10", "stem": "cifar", "width": "0.125", "size": "8",
               "mean": "0.5,0.5,0.5", "std": "0.25,0.25,0.25", "dim": "64", "head_dim": "0", "provenance": "{}"}

        def edit(tensors):
            for norm in [k.removesuffix(".running_mean") for k in tensors if k.endswith(".running_mean")]:
                tensors[norm + ".num_batches_tracked"] = np.array(0)
        weights = self.encoder(edit, own)
        coarse = self.rng.integers(0, 256, size=(4, 3, 8, 8)).astype(np.uint8)
        large = coarse.repeat(2, axis=2).repeat(2, axis=3)
        wide = np.concatenate([large, large[:, :, :, :6]], axis=3)

        def embed(x, *more):
            done = dinf("embed", "--weights", weights, "--device", "ref", "--images", self.save("x.npy", x), "--out",
                        self.path("r.npy"), *more)
            self.assertEqual(done.returncode, 0, done.stderr)
            return np.load(self.path("r.npy"))
        normal = lambda x: (x.astype(np.float32) / 255 - 0.5) / 0.25
        for x, more in ((large, ()), (wide, ("--size", 8, "--crop", 8)), (wide, ("--crop", 8))):
            a, b = embed(x, *more), embed(normal(x), *more)
            self.assertLess(np.abs(a - b).max() / np.abs(b).max(), 1e-2, more)
        cut = wide[:, :, 4:12, 7:15]  # of 16 x 22 the central 8 x 8
        np.testing.assert_array_equal(embed(wide, "--crop", 8), embed(cut))
        self.refused("embed", "--weights", weights, "--device", "ref", "--images", self.save("x.npy", wide), "--out",
                     self.path("r.npy"), says="images of 16 x 22 pixels, an encoder takes square ones")

    def test_compare_explains_a_negative_mutual_information(self):
        a, b = self.rng.normal(size=(2, 400, 30))
        args = ("compare", self.save("a.npy", a), self.save("b.npy", b))
        got = dinf_json(*args)
        self.assertLess(got["mutual_information"] + got["mutual_information_ci"], 0)
        self.assertIn("none is below 0", got["warning"])
        self.assertIn("400 images", got["warning"])
        self.assertIn("30 and 30 dimensions", got["warning"])
        self.assertIn(got["warning"], unwrapped(dinf(*args).stdout))
        got = dinf_json("compare", args[1], args[1])
        self.assertGreater(got["mutual_information"], 0)
        self.assertNotIn("warning", got)

    def test_compare_of_one_column(self):
        one, two = self.save("one.npy", self.rng.normal(size=(60, 1))), self.save("two.npy", self.rng.normal(size=(60, 2)))
        for x, y, which in ((one, one, "first and the second"), (one, two, "first"), (two, one, "second")):
            got = dinf_json("compare", x, y)
            self.assertIsNone(got["mutual_information"])
            self.assertIn(f"the {which} representations have one dimension, which has only a sign after normalisation",
                          got["reason"])

    def test_compare_equals_numpy(self):
        a = self.rng.normal(size=(400, 16))
        b = 0.7 * a + 0.5 * self.rng.normal(size=(400, 16))
        got = dinf_json("compare", self.save("a.npy", a), self.save("b.npy", b))
        prepare = lambda x: (x - x.mean(0)) / np.linalg.norm(x - x.mean(0), axis=1, keepdims=True)
        a, b = prepare(a), prepare(b)
        per_image = {"cosine": (a * b).sum(1), "cosine_abs": np.abs((a * b).sum(1)), "l1": np.abs(a - b).sum(1),
                     "l2": np.linalg.norm(a - b, axis=1), "linf": np.abs(a - b).max(1),
                     "l2_score": 1 - np.linalg.norm(a - b, axis=1) / 2}
        for name, x in per_image.items():
            self.assertAlmostEqual(got[name], x.mean(), places=10, msg=name)
            self.assertAlmostEqual(got[name + "_ci"], 2.576 * x.std(ddof=1) / np.sqrt(len(x)), places=6, msg=name)
        distance = lambda x: scipy.spatial.cKDTree(x).query(x, 2)[0][:, 1]
        ball = lambda k: 0.5 * k * np.log(np.pi) - scipy.special.gammaln(0.5 * k + 1)
        n, d = a.shape
        terms = d * np.log(distance(a)) + d * np.log(distance(b)) - 2 * d * np.log(distance(np.hstack([a, b])))
        constant = 2 * ball(d) - ball(2 * d) + scipy.special.psi(n) - scipy.special.psi(1)
        self.assertAlmostEqual(got["mutual_information"], terms.mean() + constant, places=6)
        self.assertAlmostEqual(got["mutual_information_ci"], 2.576 * terms.std(ddof=1) / np.sqrt(n), places=6)
        self.assertEqual(got["duplicates"], 0)

    def test_compare_of_collapsed_representations_has_no_numbers(self):
        a = self.save("a.npy", self.rng.normal(size=(300, 8)))
        flat = self.save("flat.npy", np.tile(self.rng.normal(size=8), (300, 1)).astype(np.float32))
        for x, y, says in ((a, flat, "the second representations are the same"),
                           (flat, a, "the first representations are the same"),
                           (flat, flat, "the first and the second representations are the same")):
            got = dinf_json("compare", x, y)
            for name in ("cosine", "cosine_abs", "l1", "l2", "linf", "l2_score", "mutual_information"):
                self.assertIsNone(got[name], name)
                self.assertIsNone(got[name + "_ci"], name)
            self.assertIn(says, got["reason"])
            self.assertIn("nan " + says, unwrapped(dinf("compare", x, y).stdout))
        half = self.rng.normal(size=(300, 8))
        half[:150] = half[0]
        got = dinf_json("compare", a, self.save("half.npy", half))
        self.assertIsNone(got["mutual_information"])
        self.assertIsNotNone(got["cosine"])
        self.assertIn("150 of 300 rows of the second representations are repeated exactly", got["reason"])

    def test_compare_of_unequal_dimensions_has_mutual_information_only(self):
        a, b = self.rng.normal(size=(100, 8)), self.rng.normal(size=(100, 5))
        got = dinf_json("compare", self.save("a.npy", a), self.save("b.npy", b))
        self.assertIsNone(got["cosine"])
        self.assertIsNotNone(got["mutual_information"])

    # ---- embed ----

    def write_safetensors(self, path, tensors, metadata=None):
        header, offset, blobs = {"__metadata__": metadata} if metadata else {}, 0, []
        for name, x in tensors.items():
            blob = x.tobytes()
            header[name] = {"dtype": {"float32": "F32", "int64": "I64"}[str(x.dtype)], "shape": list(x.shape),
                            "data_offsets": [offset, offset + len(blob)]}
            offset += len(blob)
            blobs.append(blob)
        text = json.dumps(header).encode()
        text += b" " * (-len(text) % 8)
        with open(path, "wb") as f:
            f.write(len(text).to_bytes(8, "little") + text + b"".join(blobs))

    # ---- bad input: one clear sentence, exit 2, nothing on standard output ----

    def refused(self, *args, says):
        done = dinf(*args)
        self.assertEqual(done.returncode, 2, (args, done.stderr))
        self.assertEqual(done.stdout, "", args)
        self.assertEqual(len(done.stderr.strip().splitlines()), 1, done.stderr)
        self.assertIn(says, done.stderr, args)

    def test_bad_input(self):
        good = self.save("good.npy", self.rng.normal(size=(50, 4)))
        wide = self.save("wide.npy", self.rng.normal(size=(50, 5)))
        nan = self.rng.normal(size=(50, 4))
        nan[7, 2] = np.nan
        nan = self.save("nan.npy", nan)
        few = self.save("few.npy", self.rng.normal(size=(3, 4)))
        text = self.save("text.npy", np.array(["a", "b"]))
        cube = self.save("cube.npy", np.zeros((2, 3, 4)))
        cut = self.path("cut.npy")
        with open(good, "rb") as f, open(cut, "wb") as g:
            g.write(f.read()[:-10])
        none = self.path("none.npy")
        audit = lambda f, m, h, *more: ("audit", "--fit", f, "--members", m, "--heldout", h, *more)
        self.refused("audti", says="did you mean 'audit'")
        self.refused("audit", says="--fit is required")
        self.refused(*audit(good, good, none), says=none)
        self.refused(*audit(good, wide, good), says="columns")
        self.refused(*audit(good, good, nan), says="row 7")
        self.refused(*audit(good, good, text), says="text.npy")
        self.refused(*audit(good, good, cube), says="cube.npy")
        self.refused(*audit(good, good, cut), says="cut.npy")
        self.refused(*audit(few, good, good, "--components", "10"), says="10")
        self.refused(*audit(good, good, good, "--components", "0"), says="components")
        self.refused(*audit(good, good, good, "--components", "many"), says="components")
        self.refused(*audit(good, good, good, "--covariance", "ful"), says="full")
        self.refused(*audit(good, good, good, "--alhpa", "0.1"), says="alpha")
        self.refused(*audit(good, good, good, "--statistic", "learn"), says="learned")
        self.refused(*audit(good, good, good, "--device", "cpuu"), says="cpu")
        self.refused(*audit(good, good, good, "--statistic", "learned", "--components", "5"), says="has no effect")
        self.refused("compare", good, says="two representation files")
        self.refused("compare", good, good, good, says="unexpected word")
        self.refused("compare", good, few, says="rows")
        self.refused("list", "loses", says="losses")
        self.refused("bench", "trian", says="train")
        self.refused("bench", "train", "--arch", "resnet19", says="resnet1")
        self.refused("bench", "train", "--lr", "-1", says="lr")
        self.refused("embed", "--weights", none, "--images", good, "--out", none, says="4 dimensions")
        images = self.save("images.npy", np.zeros((2, 3, 8, 8), np.uint8))
        self.refused("embed", "--weights", none, "--images", images, "--out", none, says=none)
        junk = self.path("junk.safetensors")
        with open(junk, "wb") as f:
            f.write(b"\xff" * 100)
        self.refused("embed", "--weights", junk, "--images", images, "--out", none, says="junk.safetensors")
        self.write_safetensors(junk, {"conv1.weight": np.zeros((64, 3, 3, 3), np.float32)})
        self.refused("embed", "--weights", junk, "--images", images, "--out", none, says="--arch")
        self.refused("embed", "--weights", junk, "--arch", "resnet18", "--images", images, "--out", none, says="bn1")
        self.assertFalse(os.path.exists(none))


if __name__ == "__main__":
    DINF = os.path.abspath(sys.argv.pop(1))
    unittest.main(verbosity=2)
