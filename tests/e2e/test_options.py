#!/usr/bin/python3
"""Every option's type, default and bounds against a committed table, and every command's help against a committed
text: a default that changes, changes every new run, and is to be changed on purpose.

usage: test_options.py DINF [--write]

--write puts both as they are now into tests/golden/options.txt and tests/golden/help.txt."""

import difflib
import json
import pathlib
import subprocess
import sys

TABLE = pathlib.Path(__file__).resolve().parent.parent / "golden" / "options.txt"
HELP = TABLE.with_name("help.txt")
NUMBERS = {"integer": int, "number": (int, float), "boolean": bool, "string": str, "choice": str}
LISTS = {"integers": int, "numbers": (int, float), "strings": str, "triple": (int, float)}


def check(option):
    """What a program that reads the JSON relies on."""
    kind, default = option["type"], option.get("default")
    assert option["help"] and option["name"], option
    if "default" not in option:
        return
    values = default if kind in LISTS else [default]
    for v in values:
        assert isinstance(v, {**NUMBERS, **LISTS}[kind]), option
        assert isinstance(v, bool) == (kind == "boolean"), option
        if kind in ("choice", "strings") and "choices" in option:
            assert v in option["choices"], option
        if "min" in option:
            assert v >= option["min"], option
        if "max" in option:
            assert v <= option["max"], option


def lines(catalogue):
    for what, table in catalogue.items():
        owners = [(e["name"], e["options"]) for e in table["entries"]] + [("*", table["options"])]
        for owner, options in owners:
            yield f"{what}: {owner}"
            for o in options:
                check(o)
                facts = [f"{k} {json.dumps(o[k])}" for k in ("default", "min", "max", "choices", "unit") if k in o]
                yield "; ".join([f"    {o['name']}: {o['type']}"] + facts + ([] if "default" in o else ["required"]))


def help_of(dinf, *words):
    """Without a word on standard error, in 80 columns; `-h` says the same."""
    got = [subprocess.run([dinf, *words, flag], capture_output=True, text=True) for flag in ("--help", "-h")]
    for done in got:
        assert (done.returncode, done.stderr) == (0, ""), (words, done)
    assert got[0].stdout == got[1].stdout and all(len(x) <= 80 for x in got[0].stdout.splitlines()), words
    return f"dinf {' '.join(words)}\n\n" + got[0].stdout


def all_help(dinf):
    whole = help_of(dinf)
    commands = [x.split()[0] for x in whole.splitlines() if x.startswith("  ")]
    benches = [x.split()[0] for x in help_of(dinf, "bench").splitlines() if x.startswith("  ") and "dinf" not in x]
    words = [[c] for c in commands] + [["bench", b] for b in benches]
    assert len(commands) > 10 and len(benches) == 5, (commands, benches)
    return "\n".join([whole] + [help_of(dinf, *w) for w in words])


def check_text(dinf, catalogue):
    """`dinf list` shows to people what it gives to programs."""
    text = subprocess.run([dinf, "list"], capture_output=True, text=True, check=True).stdout
    assert all(len(x) < 80 for x in text.splitlines())
    heads = [x[:-1] for x in text.splitlines() if x.endswith(":") and not x.startswith((" ", "options of every"))]
    assert heads == list(catalogue), heads
    for what, table in catalogue.items():
        part = subprocess.run([dinf, "list", what], capture_output=True, text=True, check=True).stdout
        assert part in text and part.startswith(what + ":\n"), what
        rows = [x for x in part.splitlines() if x.startswith("  ") and not x.startswith("   ")]
        names = [e["name"] for e in table["entries"]]
        assert len(rows) == len(names) and all(r[2:].startswith(n) for r, n in zip(rows, names)), what
        for e in table["entries"]:
            assert " ".join(e["help"].split()) in " ".join(part.split()), e
        options = [x.split()[0] for x in part.splitlines() if x.startswith("      ") and not x.startswith("       ")]
        assert options == [o["name"] for e in table["entries"] + [table] for o in e["options"]], what


def main():
    done = subprocess.run([sys.argv[1], "list", "--json"], capture_output=True, text=True, check=True)
    assert len(done.stdout.splitlines()) == 1
    catalogue = json.loads(done.stdout)
    now = list(lines(catalogue))
    for what in catalogue:  # a single list is a part of the whole
        one = subprocess.run([sys.argv[1], "list", what, "--json"], capture_output=True, text=True, check=True)
        assert json.loads(one.stdout) == {what: catalogue[what]}, what
    check_text(sys.argv[1], catalogue)
    text = all_help(sys.argv[1])
    if "--write" in sys.argv:
        HELP.write_text(text, encoding="utf-8")
        TABLE.write_text("\n".join(now) + "\n", encoding="utf-8")
        return
    before = TABLE.read_text(encoding="utf-8").splitlines()
    changes = [f"- {x}" for x in before if x not in now] + [f"+ {x}" for x in now if x not in before]
    if now != before:
        sys.exit("options are not those of tests/golden/options.txt (if that is meant: test_options.py DINF --write)\n"
                 + "\n".join(changes or ["the order differs"]))
    if text != HELP.read_text(encoding="utf-8"):
        before, after = HELP.read_text(encoding="utf-8").splitlines(), text.splitlines()
        sys.exit("the help of commands is not that of tests/golden/help.txt (if that is meant: test_options.py DINF --write)\n"
                 + "\n".join(difflib.unified_diff(before, after, lineterm="", n=0)))
    print(f"{len(now)} lines of options and {len(text.splitlines())} of help are as they were")


if __name__ == "__main__":
    main()
