#!/usr/bin/python3
"""Looks through every source of the program as clang reads it.

  lint.py BUILD CLANG_TIDY CLANG_QUERY

clang-tidy asks what .clang-tidy lists. clang-query finds pointers that are tested
without a comparison with NULL, which in C no check of clang-tidy does. Commands of
nvcc are left out: no other compiler reads them.
"""
import concurrent.futures
import json
import os
import re
import subprocess
import sys
import tempfile

ROOT = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", ".."))
POINTER = "ignoringParenImpCasts(expr(hasType(pointerType())))"
PLACES = f"""
unaryOperator(hasOperatorName("!"), hasUnaryOperand({POINTER}))
binaryOperator(hasAnyOperatorName("&&", "||"), hasEitherOperand({POINTER}))
conditionalOperator(hasCondition({POINTER}))
ifStmt(hasCondition({POINTER}))
whileStmt(hasCondition({POINTER}))
doStmt(hasCondition({POINTER}))
forStmt(hasCondition({POINTER}))
castExpr(hasCastKind("CK_PointerToBoolean"))
""".split("\n")[1:-1]
QUERY = "set bind-root false\n" + "".join(
    f'match stmt({place}, isExpansionInFileMatching("{ROOT}/")).bind("here")\n' for place in PLACES)
BATCH = 8  # sources a process: the headers that they share stay in its memory

PROBE = """
struct s { int *p; };
int f(char *p, const struct s *s, int n, int (*g)(void));
int f(char *p, const struct s *s, int n, int (*g)(void))
{
    if (!p)
        return 1;
    while (s->p)
        return 2;
    for (; p;)
        return 3;
    do
        n--;
    while (g);
    if (n && p)
        return 4;
    _Bool b = p;
    return s ? b : (!n) + (p == (void *)0 && !b) + (n ? 1 : 0);
}
"""
PROBED = [6, 8, 10, 12, 15, 17, 18]


def sources(build, folder):
    """The sources below src/, with a compilation database of one command each in `folder`."""
    commands = {}
    for command in json.load(open(os.path.join(build, "compile_commands.json"))):
        path = os.path.realpath(os.path.join(command["directory"], command["file"]))
        if path.startswith(f"{ROOT}/src/") and "nvcc" not in command["command"].split()[0]:
            commands.setdefault(path, dict(command, file=path))
    with open(os.path.join(folder, "compile_commands.json"), "w") as f:
        json.dump(list(commands.values()), f)
    return sorted(commands)


def run(words):
    """What the program prints, and whether it went well."""
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return done.stdout, done.returncode == 0


def untested_pointers(query, script, words):
    """FILE:LINE of every pointer that stands where a truth value belongs."""
    text, good = run([query, "-f", script, *words])
    if not good or "error:" in text:
        sys.exit(f"clang-query failed:\n{text[-4000:]}")
    return re.findall(r'^(\S+?):(\d+):\d+: note: "here" binds here', text, re.M)


def check_query(query, script, folder):
    """The query finds what it is for, and nothing else."""
    probe = os.path.join(folder, "probe.c")
    with open(probe, "w") as f:
        f.write(PROBE)
    with open(script, "w") as f:
        f.write(QUERY.replace(f"{ROOT}/", probe))
    found = sorted({int(line) for _, line in untested_pointers(query, script, [probe, "--"])})
    if found != PROBED:
        sys.exit(f"the query finds lines {found} of its probe, not {PROBED}")
    with open(script, "w") as f:
        f.write(QUERY)


def main():
    build, tidy, query = sys.argv[1:]
    complaints = set()
    with tempfile.TemporaryDirectory() as folder:
        files = sources(build, folder)
        if not files:
            sys.exit(f"{build} compiles nothing below {ROOT}/src")
        script = os.path.join(folder, "query")
        check_query(query, script, folder)

        def look(batch):
            text, good = run([tidy, "-p", folder, "--quiet", *batch])
            lines = set(re.findall(r"^\S+:\d+:\d+: (?:warning|error): .*", text, re.M))
            if not good and not lines:
                lines = {text[-4000:]}
            pointers = untested_pointers(query, script, ["-p", folder, *batch])
            return lines | {f"{path}:{line}: a pointer is compared with NULL explicitly" for path, line in pointers}

        batches = [files[i:i + BATCH] for i in range(0, len(files), BATCH)]
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            for lines in pool.map(look, batches):
                complaints |= lines
    for line in sorted(complaints):
        print(line.replace(f"{ROOT}/", ""))
    sys.exit(1 if complaints else 0)


if __name__ == "__main__":
    main()
