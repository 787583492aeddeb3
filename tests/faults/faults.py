#!/usr/bin/python3
"""Injects faults into whole runs of dinf, and judges what becomes of them. See README.md.

    faults.py N [--seed S] [--dinf PATH] [--kind NAME] [--jobs J] [--keep]
"""
import argparse
import concurrent.futures
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

import campaign
import processes
from kinds import KINDS, NoEffect, Skipped

OUTCOMES = ("identical", "clean failure", "stuck", "hang", "wrong", "loop of 75")
BESIDE = ("75 unasked", "file left", "process left", "odd status")  # beside one of the above
GOOD = OUTCOMES[:2]
HEADS = ("n", "same", "clean", "stuck", "hang", "wrong", "loop", "75?", "file", "proc", "odd")
STATUSES = (0, 1, 2, 3, 70, campaign.STOPPED)


class Injection:
    """What the kinds work with, and what they say of themselves."""

    def __init__(self, c, rng):
        self.c, self.rng = c, rng
        self.asked = False      # a stop was asked for: 75 is right
        self.signalled = False  # mpirun or a rank was hit: any status is right
        self.silent = False     # there is nowhere to print to
        self.unfinished = False  # the last command was not the campaign's own
        self.once_more = False  # what came too late is found by the next command
        self.clean = False      # it failed clearly while the cause was there
        self.bad = []

    def interrupted(self, seen=lambda: True, part=1):
        """A run that was killed at a random moment (of its first part), though not before `seen` is there."""
        a = self.c.start()
        when = self.c.moment(self.rng, a, part)
        while a.running() and not (seen() and os.path.exists(f"{self.c.dir}/plan.json")):
            time.sleep(0.005)
        self.c.kill(a)
        a.status = None  # nothing to judge
        return f"killed {when}"

    def must_fail(self, *statuses, **how):
        """The cause stays: the command fails, says why, and does so again."""
        for _ in range(2):
            if self.c.run(**how) not in (statuses or (1, 2, 3, 70)):
                self.bad.append("odd status")
        self.clean = True


def judge_attempts(i, attempts):
    """Statuses and messages."""
    for a in attempts:
        if a.status is None or a.hung:
            continue
        if a.status == campaign.STOPPED and not i.asked:
            i.bad.append("75 unasked")
        if not i.signalled and (a.status not in STATUSES or a.status and not i.silent and not a.message()):
            i.bad.append("odd status")


def resume(i):
    """The same command, at most so many times; the outcome."""
    begin = len(i.c.attempts)
    i.asked = i.signalled = i.silent = False
    while len(i.c.attempts) - begin < campaign.RESUMES:
        status = i.c.run()
        if i.c.attempts[-1].hung:
            return "hang"
        if status == 0:
            break
    judge_attempts(i, i.c.attempts[begin:])
    if status == campaign.STOPPED:
        return "loop of 75"
    return "identical" if status == 0 else "stuck"


def judge(i):
    first = i.c.attempts[:]
    judge_attempts(i, first)
    if any(a.hung for a in first):
        return "hang", []
    outcome = "identical"
    if not first or first[-1].status != 0 or i.clean or i.unfinished or i.once_more or i.rng.random() < 0.3:
        outcome = resume(i)
    if i.once_more and outcome == "identical":
        outcome = resume(i)
    if processes.gone(i.c.mark, 10):
        i.bad.append("process left")
    if outcome != "identical":
        return outcome, []
    details, left = i.c.differences(), i.c.leftovers()
    if left:
        i.bad.append("file left")
    return "wrong" if details else "clean failure" if i.clean else "identical", details + left


def one(setup, seed, name, config, folder):
    """One injection, as a dictionary."""
    function, configs = KINDS[name]
    configs = [config] if config else configs
    rng = random.Random(f"{seed} {name}")
    mark = folder.replace("/", ".")
    c = campaign.Campaign(setup, folder, rng.choice(configs), rng.choice((1, 2, 3, 3, 3)), mark)
    i, begin, answer = Injection(c, rng), time.monotonic(), {"seed": seed, "kind": name}
    try:
        answer["what"] = f"{c.config}, {c.ranks} ranks: {function(i)}"
        answer["outcome"], answer["details"] = judge(i)
        answer["bad"] = sorted(set(i.bad))
    except Skipped as e:
        answer["skipped"] = str(e)
    except NoEffect as e:
        answer["void"] = str(e)
    finally:
        processes.end_all(c.mark)
    answer["statuses"] = [a.status for a in c.attempts]
    if answer.get("bad") or answer.get("outcome") not in GOOD:
        answer["messages"] = [a.message()[:300] for a in c.attempts]
    answer["seconds"] = time.monotonic() - begin
    return answer


def kind_of(seed):
    """Every kind once before any comes again, in an order of the seed's own."""
    names = sorted(KINDS)
    block, place = divmod(seed, len(names))
    random.Random(block).shuffle(names)
    return names[place]


def undisturbed(setup, config, scratch):
    """The reference, and how long it takes."""
    folder = f"{scratch}/u.{config}"
    c = campaign.Campaign(setup, folder, config, 3, folder.replace("/", "."))
    begin = time.monotonic()
    a = c.start()
    try:
        if c.wait(a, 600) != 0:
            raise SystemExit(f"faults: the undisturbed {config} ends with {a.status}: {a.message()}")
        shutil.move(c.dir, f"{setup.references}/{config}")
        with open(f"{setup.references}/{config}.seconds", "w") as f:
            f.write(f"{time.monotonic() - begin}\n")
    finally:
        processes.end_all(c.mark)


class Driver:
    """Injections in processes of their own, some at a time."""

    def __init__(self, options, scratch):
        self.options, self.scratch = options, scratch
        self.lock, self.children, self.ending = threading.Lock(), set(), False

    def single(self, seed, name):
        folder = f"{self.scratch}/{seed}"
        os.makedirs(folder)
        with self.lock:
            if self.ending:
                return {"seed": seed, "kind": name, "skipped": "the runner was stopped"}
            o = self.options
            words = ["--one", name, "--seed", str(seed), "--scratch", self.scratch, "--dinf", o.dinf,
                     "--injector", o.injector, "--limit", str(o.limit), *(["--config", o.config] if o.config else [])]
            p = subprocess.Popen([sys.executable, "-B", os.path.abspath(__file__), "0", *words],
                                 stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)
            self.children.add(p)
        out = p.communicate()[0]
        self.children.discard(p)
        try:
            answer = json.loads(out)
        except ValueError:
            answer = {"seed": seed, "kind": name, "outcome": "wrong", "bad": [], "statuses": [], "seconds": 0,
                      "what": "the runner itself failed", "details": []}
        if self.options.keep and is_bad(answer):
            answer["kept"] = folder
        else:
            shutil.rmtree(folder, ignore_errors=True)
        return answer

    def end(self):
        with self.lock:
            self.ending = True
        for p in list(self.children):
            p.terminate()


def is_bad(a):
    return "outcome" in a and (a["outcome"] not in GOOD or bool(a["bad"]))


def describe(a, options):
    if "outcome" not in a:
        return f"{'skipped' if 'skipped' in a else 'no effect'}: {a.get('skipped') or a.get('void')}"
    text = ", ".join([a["outcome"], *a["bad"]]) + f" ({a['what']}; statuses {' '.join(map(str, a['statuses']))}"
    text += f"; {a['seconds']:.0f} s)"
    if is_bad(a):
        text += "".join(f"\n    {line}" for line in a["details"][:4] + a.get("messages", []))
        text += f"\n    again: run.sh 1 --seed {a['seed']}" + (f" --kind '{a['kind']}'" if options.kind else "")
        text += f" --config {options.config}" if options.config else ""
        text += f"\n    kept: {a['kept']}" if "kept" in a else ""
    return text


def table(answers):
    """Kind by outcome, 80 columns."""
    rows = [a for a in answers if "outcome" in a]
    form = "{:<26}{:>5}" + "{:>5}{:>6}{:>6}" + "{:>5}" + "{:>6}" + "{:>5}{:>4}{:>5}{:>5}" + "{:>4}"
    lines = [form.format("kind", *HEADS)]
    for name in [k for k in KINDS if any(a["kind"] == k for a in rows)] + ["sum"]:
        mine = [a for a in rows if name in (a["kind"], "sum")]
        counts = [sum(o == a["outcome"] for a in mine) for o in OUTCOMES]
        counts += [sum(o in a["bad"] for a in mine) for o in BESIDE]
        lines.append(form.format(name, len(mine), *(c or "" for c in counts)).rstrip())
    return "\n".join(lines)


def parse():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("n", type=int, help="how many injections")
    p.add_argument("--seed", type=int, default=1, help="of the first; each has the next")
    p.add_argument("--dinf", default=os.environ.get("DINF", "build/dinf"))
    p.add_argument("--kind", help="this alone, in place of the seed's")
    p.add_argument("--config", choices=campaign.CONFIGS, help="this alone, in place of the seed's")
    p.add_argument("--jobs", type=int, default=2, help="injections at a time")
    p.add_argument("--keep", action="store_true", help="the folders of bad outcomes")
    p.add_argument("--limit", type=float, default=60, help="a run that takes longer hangs [s]")
    p.add_argument("--injector", default=os.environ.get("DINF_INJECTOR", ""), help=argparse.SUPPRESS)
    p.add_argument("--one", help=argparse.SUPPRESS)
    p.add_argument("--scratch", help=argparse.SUPPRESS)
    return p.parse_args()


def stopped(*_):
    raise KeyboardInterrupt


def references(options, names):
    """The configs that are needed."""
    wanted = {c for name in names for c in KINDS[name][1]} if not options.config else {options.config}
    if "plan.json of another" in names:
        wanted.add("campaign")
    return sorted(wanted)


def drive(options, scratch):
    driver, answers = Driver(options, scratch), []
    setup = campaign.Setup(options, f"{scratch}/references")
    os.makedirs(setup.references)
    names = [options.kind or kind_of(options.seed + k) for k in range(options.n)]
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        try:
            list(pool.map(lambda c: undisturbed(setup, c, scratch), references(options, names)))
            started = [pool.submit(driver.single, options.seed + k, name) for k, name in enumerate(names)]
            for future in concurrent.futures.as_completed(started):
                a = future.result()
                answers.append(a)
                print(f"{len(answers)}/{options.n} seed {a['seed']}, {a['kind']}: {describe(a, options)}", flush=True)
        except BaseException:
            driver.end()
            pool.shutdown(cancel_futures=True)
            raise
    print(f"\n{table(answers)}")
    for word in ("skipped", "void"):
        if any(word in a for a in answers):
            print(f"{'without effect' if word == 'void' else word}: {sum(word in a for a in answers)}")
    return 1 if any(map(is_bad, answers)) or not any("outcome" in a for a in answers) else 0


def main():
    options = parse()
    options.dinf = os.path.abspath(options.dinf)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGTERM, stopped)
    if options.one:
        setup = campaign.Setup(options, f"{options.scratch}/references")
        print(json.dumps(one(setup, options.seed, options.one, options.config, f"{options.scratch}/{options.seed}")))
        return 0
    scratch = tempfile.mkdtemp(prefix="dinf-faults.", dir=os.environ.get("TMPDIR"))
    try:
        return drive(options, scratch)
    finally:
        if not options.keep:
            shutil.rmtree(scratch, ignore_errors=True)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
