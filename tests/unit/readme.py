#!/usr/bin/python3
"""The READMEs against the program and the repository: links and paths lead somewhere, commands and options exist,
messages are the program's, and the configs that they show pass `dinf plan`.

usage: readme.py DINF
"""

import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGES = sorted(p for name in ("README.md", "CHANGELOG.md", "bad_input.md") for p in ROOT.rglob(name)
               if not p.relative_to(ROOT).parts[0].startswith(("build", "runs")))
FIRST_PAGE_LINES = 120
FOLDERS = ("analysis", "cmake", "configs", "containers", "jobs", "src", "tests")
# options of other programs: CMake, ctest, sbatch, srun, mpirun, compute-sanitizer
FOREIGN = ("--preset", "--build", "--install", "--prefix", "--test-dir", "--output-on-failure", "--nodes", "--ntasks",
           "--ntasks-per-node", "--time", "--gpus", "--cpus-per-task", "--mem-per-cpu", "--exclude", "--mpi",
           "--oversubscribe", "--target-processes", "--help", "--version")
faults = []


def complain(page, text):
    faults.append(f"{page.relative_to(ROOT)}: {text}")


def code_of(text):
    """Pieces of code: indented blocks (lines that end in a backslash are joined) and what stands in backticks."""
    text = re.sub(r" *\\\n *", " ", text)
    blocks = [line.strip() for line in text.splitlines() if line.startswith("    ")]
    prose = "\n".join(line for line in text.splitlines() if not line.startswith("    "))
    return blocks + [" ".join(piece.split()) for piece in re.findall(r"`([^`]+)`", prose)]


def slug(heading):
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def anchors(page):
    return {slug(h) for h in re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.M)}


def check_links(page, text):
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+://", target):
            continue
        path, _, anchor = target.partition("#")
        where = (page.parent / path).resolve() if path else page
        if not where.exists():
            complain(page, f"the link {target} leads nowhere")
        elif anchor and anchor not in anchors(where):
            complain(page, f"the link {target}: there is no such heading")


def check_paths(page, code):
    for piece in code:
        for path in re.findall(r"(?<![\w./-])(?:\./)?((?:%s)/[\w./*-]+)" % "|".join(FOLDERS), piece):
            path = path.rstrip(".")
            if re.search("/figures/|/reports/", path) or re.search(r"[A-Z]{4}", path.replace("README", "")):
                continue  # what differs
            if not (page.parent / path).exists() and not list(ROOT.glob(path.rstrip("/"))):
                complain(page, f"there is no {path}")


class Program:
    def __init__(self, dinf):
        self.dinf = dinf
        self.commands = re.findall(r"^  ([a-z]+)  ", self.say("--help"), re.M) + ["help"]
        self.texts = {c: self.say("help", c) for c in self.commands if c != "help"}
        for what in re.findall(r"^  ([a-z-]+)  ", self.texts["bench"], re.M):
            self.texts["bench"] += self.say("bench", what, "--help")
        self.lists = set(json.loads(self.say("list", "--json")))

    def say(self, *words):
        return subprocess.run([self.dinf, *words], capture_output=True, text=True, check=True).stdout

    def has(self, command, option):
        return re.search(r"%s\b(?![-_])" % re.escape(option), self.texts[command].replace("_", "-")) is not None

    def has_somewhere(self, option):
        return any(self.has(c, option) for c in self.texts)


def words_of(call):
    """The words of one command, up to what ends it in a shell."""
    return re.split(r"\s[|;&>#]|\s{3,}", call)[0].split()


def check_commands(page, code, program, scripts):
    for piece in code:
        calls = [m.end() for m in re.finditer(r"(?:^|[\s=(])(?:[\w./$-]*/)?dinf(?= )", piece)]
        for at, end in zip(calls, calls[1:] + [len(piece)]):
            words = words_of(piece[at:end])
            if not words or not re.fullmatch(r"[a-z]+", words[0]):
                continue  # a placeholder, or an option of the program itself
            if words[0] == "with":
                continue  # a message: start dinf with mpirun
            command = words[0]
            if command not in program.commands:
                complain(page, f"there is no command `dinf {command}`")
                continue
            if command == "list" and len(words) > 1 and words[1][0] != "-":
                for name in words[1].split("|"):
                    if name not in program.lists:
                        complain(page, f"`dinf list {name}`: there is no such list")
            for option in (w.split("=")[0].rstrip(",.:)") for w in words if w.startswith("--")):
                if command != "help" and option != "--help" and not program.has(command, option):
                    complain(page, f"`dinf {command}` has no {option}")
        if not calls:
            for option in re.findall(r"(?<![\w-])--[a-z][a-z_-]*", piece):
                if not (option in FOREIGN or program.has_somewhere(option) or re.search(re.escape(option) + r"\b", scripts)):
                    complain(page, f"nothing here has the option {option}")


def literals():
    """All that the sources say in strings, those of C that stand side by side joined, and the scripts of jobs/."""
    strings = []
    for path in ROOT.glob("src/**/*.[ch]"):
        text = re.sub(r'"\s*\n\s*"', "", path.read_text(encoding="utf-8"))
        strings += re.findall(r'"((?:[^"\\\n]|\\.)*)"', text)
    strings += [p.read_text(encoding="utf-8") for p in (ROOT / "jobs").glob("*.sh")]
    return "\n".join(strings).replace('\\"', '"')


def check_messages(said):
    """Messages of the first column of the table of trouble: their pieces between what differs are in the sources."""
    page = ROOT / "jobs" / "README.md"
    rows = [line for line in page.read_text(encoding="utf-8").split("## Troubleshooting")[1].splitlines() if line.startswith("| ")]
    n = 0
    for message in re.findall(r"`([^`]+)`", "\n".join(row.split(" | ")[0] for row in rows)):
        pieces = re.split(r"\b(?:[A-Z]{2,}|[A-Z])\b[:.]?|warning: |\d", message)
        for piece in (p.strip(" ()\".") for p in pieces):
            n += 1
            if len(piece) >= 8 and piece not in said:
                complain(page, f"no source says '{piece}'")
    if n < 40:
        complain(page, "the table of trouble was not found")


def images(n, seed):
    return np.random.default_rng(seed).integers(0, 256, (n, 8, 8, 3)).astype(np.uint8)


def rows(n):
    return np.random.default_rng(0).normal(size=(n, 8)).astype(np.float32)


def check_configs(dinf):
    """The blocks behind `<!-- config: NAME -->`, those of one name together, with the files that they name."""
    files = {"mine.cfg": {"members.npy": images(40, 1), "heldout.npy": images(40, 2), "M.npy": rows(40), "H.npy": rows(40)},
             "all.cfg": {"x.npy": images(40, 1), "y.npy": np.zeros(40, np.uint8), "M.npy": rows(600), "H.npy": rows(600)}}
    found = {}
    for page in PAGES:
        for name, block in re.findall(r"<!-- config: (\S+) -->\n\n((?:(?:    .*)?\n)+)", page.read_text(encoding="utf-8")):
            found[name] = found.get(name, "") + block
    for name in files.keys() - found.keys():
        faults.append(f"no README has the config {name}")
    for name, text in found.items():
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            (folder / name).write_text(text, encoding="utf-8")
            for file, array in files[name].items():
                np.save(folder / file, array)
            for file in re.findall(r'"(\w+\.safetensors)"', text):
                (folder / file).write_bytes(file.encode())
            (folder / "cifar-10-batches-bin").mkdir()
            for i in range(1, 6):
                (folder / "cifar-10-batches-bin" / f"data_batch_{i}.bin").write_bytes(bytes(2 * 3073))
            plan = subprocess.run([dinf, "plan", name], cwd=folder, capture_output=True, text=True,
                                  env={**os.environ, "DATA": str(folder)})
            if plan.returncode != 0:
                faults.append(f"{name}: `dinf plan` ends with {plan.returncode}: {plan.stderr.strip()}")


def main():
    dinf = os.path.abspath(sys.argv[1])
    program = Program(dinf)
    scripts = "\n".join(p.read_text(encoding="utf-8") for folder in FOLDERS for p in (ROOT / folder).rglob("*")
                        if p.suffix in (".sh", ".py", ".sbatch"))
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        check_links(page, text)
        if page.name in ("bad_input.md", "CHANGELOG.md"):
            continue  # made by a test of its own; of the past
        code = code_of(text)
        check_paths(page, code)
        check_commands(page, code, program, scripts)
    lines = (ROOT / "README.md").read_text(encoding="utf-8").count("\n")
    if lines > FIRST_PAGE_LINES:
        faults.append(f"README.md has {lines} lines, more than {FIRST_PAGE_LINES}")
    check_messages(literals())
    check_configs(dinf)
    print("\n".join(faults) or f"{len(PAGES)} pages are true")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
