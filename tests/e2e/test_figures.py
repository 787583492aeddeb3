#!/usr/bin/python3
"""The figures on synthetic results of many shapes: every one is drawn and is not
blank, or says in one sentence what is missing; the tables' numbers are right."""

import pathlib
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
ANALYSIS = HERE.parent.parent / "analysis"
sys.path[:0] = [str(HERE), str(ANALYSIS)]

import h5py  # noqa: E402
import matplotlib.image  # noqa: E402
import numpy as np  # noqa: E402

import make_results  # noqa: E402
import results  # noqa: E402

FIGURES = ("pvalue_budget", "loglik_hist", "similarity_budget", "similarity_hist", "curves", "timeline")


def run(script, *arguments, ok=True):
    done = subprocess.run(
        ["/usr/bin/python3", "-W", "error::RuntimeWarning", str(ANALYSIS / script), *map(str, arguments)],
        capture_output=True,
        text=True,
    )
    if ok and done.returncode != 0:
        raise AssertionError(f"{script} {arguments}: exit {done.returncode}\n{done.stderr}")
    return done


class Figures(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.dir = pathlib.Path(self.folder.name)

    def tearDown(self):
        self.folder.cleanup()

    def make(self, variant, name="results.h5"):
        make_results.make(variant, self.dir / name)
        return self.dir / name

    def check_png(self, path):
        pixels = matplotlib.image.imread(path)[..., :3]
        self.assertGreater(min(pixels.shape[:2]), 250, path)
        self.assertGreater(np.mean(np.any(pixels < 0.95, axis=2)), 0.01, f"{path} is nearly blank")
        border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
        self.assertGreater(border.min(), 0.95, f"something is cut off at the border of {path}")

    def check_all(self, variant, missing=()):
        self.make(variant)
        done = run("all.py", self.dir)
        self.assertLessEqual(max(map(len, done.stdout.splitlines())), 80 + len(str(self.dir)))
        for line in done.stdout.splitlines():
            if str(self.dir) not in line:
                self.assertLessEqual(len(line), 80, line)
        for name in FIGURES:
            path = self.dir / "figures" / f"{name}.png"
            if name in missing:
                self.assertFalse(path.exists())
                self.assertEqual(done.stderr.count(f"{name}.png: not drawn: "), 1)
            else:
                self.check_png(path)
        self.assertEqual(len(done.stderr.splitlines()), len(missing), done.stderr)
        return done

    def test_full(self):
        done = self.check_all("full")
        self.assertIn("thief 50%", done.stdout)
        text = (self.dir / "figures" / "verdicts.md").read_text()
        self.assertEqual(text.count("\n| "), 2 * 15 + 1)
        self.assertIn("**stolen**", text)
        self.assertIn("1 of 30 tests: a mixture stopped before it converged", done.stdout)
        self.assertIn("1 of 30 tests: a mixture stopped before it converged.", text)
        with h5py.File(self.dir / "results.h5") as f:
            row = next(
                r
                for r in f["scores/dataset_inference"][:]
                if r["encoder"] == b"victim.half.300.mse" and r["statistic"] == b"learned"
            )
        cells = [c for c in text.splitlines() if "victim.half.300.mse" in c and "learned" in c][0].split(" | ")
        # of the images drawn, 50.3%, to the percent; no column for components, of which each statistic has one number
        self.assertEqual(cells[2:7], ["half", "50%", "300", "mse", "learned"])
        self.assertEqual(cells[7], f"{row['t']:.2f}")
        self.assertAlmostEqual(np.log10(float(cells[9])), row["log10_p"], delta=0.05)

    def test_one_encoder(self):
        self.check_all("one", missing=("similarity_hist",))

    def test_no_thefts(self):
        self.check_all("nothefts")

    def test_not_a_number(self):
        self.check_all("nan")

    def test_trials(self):
        self.check_all("trials")

    def test_forty_encoders(self):
        self.check_all("many")

    def test_nothing_done(self):
        self.make("empty")
        done = run("all.py", self.dir)
        self.assertEqual(len(done.stderr.splitlines()), len(FIGURES) + 1, done.stderr)
        single = run("curves.py", self.dir / "results.h5", ok=False)
        self.assertEqual(single.returncode, 1)
        self.assertIn("has no training curve yet", single.stderr)

    def test_single_script_and_bad_files(self):
        path = self.make("full")
        run("timeline.py", path, "-o", self.dir / "x" / "t.png")
        self.check_png(self.dir / "x" / "t.png")
        (self.dir / "junk.h5").write_text("junk")
        for bad, message in (
            (self.dir / "junk.h5", "cannot be read as HDF5"),
            (self.dir / "none.h5", "does not exist"),
        ):
            done = run("timeline.py", bad, ok=False)
            self.assertEqual(done.returncode, 1)
            self.assertIn(message, done.stderr)
            self.assertEqual(len(done.stderr.splitlines()), 1)
        with h5py.File(path, "a") as f:
            del f["curves/victim"]
            f["curves/victim"] = h5py.ExternalLink("tasks/gone.h5", "/curves")
        self.assertIn("one of them is gone", run("curves.py", path, ok=False).stderr)

    def test_seeds(self):
        paths = [self.make("trials", f"{i}.h5") for i in range(2)]
        with h5py.File(paths[0], "a") as f:
            rows = f["scores/dataset_inference"][:]
            rows["verdict"] = [b"stolen" if r["encoder"] == b"victim.t1" else b"inconclusive" for r in rows]
            rows["t"] = np.where(
                rows["role"] == b"victim", [int(e[-1:]) if e[-2:-1] == b"t" else 0 for e in rows["encoder"]], rows["t"]
            )
            f["scores/dataset_inference"][:] = rows
        lines = run("seeds.py", paths[0]).stdout.splitlines()
        self.assertEqual(lines[2], "| victim | 1/3 | 1.0 [0.0, 2.0] | 1/3 | 1.0 [0.0, 2.0] |")
        self.assertEqual(len([x for x in lines if x.startswith("| thief")]), 9)
        self.assertEqual(len([x for x in lines if x.startswith("| independent, on")]), 2)
        both = run("seeds.py", *paths).stdout
        self.assertIn("2 campaigns, 6 victims, alpha = 0.05", both)
        self.assertIn("/6 |", both.splitlines()[2])

    def test_loader(self):
        """Text is str, so that a filter finds its rows; what is missing is no number."""
        path = self.make("full")
        with h5py.File(path) as f:
            raw = f["encoders"][:]
            scores = f["scores/dataset_inference"][:]
            tasks = f["tasks"][:]
        r = results.load(path)
        thief = raw["role"] == b"thief"
        found = r.encoders[r.encoders.role == "thief"]
        self.assertEqual(list(found.name), [n.decode() for n in raw["name"][thief]])
        self.assertEqual(thief.sum(), 12)
        np.testing.assert_array_equal(found.overlap, raw["overlap"][thief])
        self.assertTrue(r.encoders[r.encoders.role != "thief"].overlap.isna().all())
        found = r.scores("dataset_inference")
        np.testing.assert_array_equal(found.t, scores["t"])
        self.assertEqual((found.components == 10).sum(), (scores["components"] == 10).sum())
        self.assertEqual(found.components.isna().sum(), (scores["components"] == -1).sum())
        self.assertEqual(r.tasks["rank"].isna().sum(), (tasks["rank"] == -1).sum())
        self.assertEqual(set(map(type, r.tasks.state)), {str})
        with self.assertRaisesRegex(results.Missing, "has no /representations/victim/members"):
            r.representations("victim", "members")

    def test_readme(self):
        """The lines of analysis/README.md work as they are written."""
        path = self.make("full")
        with h5py.File(path, "a") as f:
            f["representations/victim/members"] = np.eye(3, dtype=np.float32)
        text = (ANALYSIS / "README.md").read_text(encoding="utf-8")
        lines = text[text.index("    import sys; sys.path") :].split("\n\n")[0].splitlines()
        self.assertEqual(sum("runs/demo/results.h5" in x for x in lines), 1)
        values = [x.split("#")[0].strip().replace("runs/demo/results.h5", str(path)) for x in lines]
        space = {}
        for line in values[:3]:
            exec(line, space)
        thieves, scores, means, matrix, label = (eval(line, space) for line in values[3:])
        self.assertEqual(len(thieves), 12)
        self.assertEqual(len(scores), 30)
        self.assertEqual(means.index.names, ["kind", "statistic"])
        self.assertEqual(matrix.shape, (3, 3))
        self.assertEqual(label, "Welch's t")

    def test_text_of_any_length(self):
        """Files of schema 1 read as those of today."""
        old, new = self.dir / "old.h5", self.make("full")
        with h5py.File(old, "w") as f, h5py.File(new) as g:
            for name in ("encoders", "tasks", "scores/dataset_inference"):
                rows = g[name][:]
                text = [n for n in rows.dtype.names if rows.dtype[n].kind == "S"]
                types = [(n, h5py.string_dtype() if n in text else rows.dtype[n]) for n in rows.dtype.names]
                f[name] = np.array([tuple(r) for r in rows], types)
                f[name].attrs.update(g[name].attrs)
        for get in (lambda r: r.encoders, lambda r: r.tasks, lambda r: r.scores("dataset_inference")):
            self.assertTrue(get(results.load(old)).equals(get(results.load(new))))

    def test_labels_come_from_the_file(self):
        path = self.make("one")
        r = results.load(path)
        self.assertEqual(r.label("curves/victim", "seconds"), "duration of the epoch [s]")
        self.assertEqual(r.label("scores/dataset_inference", "n_fit"), "n fit")
        self.assertEqual(r.name, "one")


if __name__ == "__main__":
    unittest.main()
