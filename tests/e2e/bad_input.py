#!/usr/bin/python3
"""What bad input gets: one row an input, over all commands.

usage: bad_input.py DINF [--markdown] [--only WORD]

Every row makes its input in a fresh folder and runs one command there. The exit status must be the row's, the message
must hold the row's fragment, standard error has one "error: ..." line a problem, and where nothing ran (status 2) no
file has appeared or changed. --markdown prints the table, which is kept in bad_input.md.
"""
import argparse
import fcntl
import gzip
import json
import os
import re
import subprocess
import sys
import tempfile

import h5py
import numpy as np

ROWS = []
TIME_LIMIT = 60  # seconds; every row takes milliseconds


def row(what, says, status=2, problems=1):
    """The decorated function makes the input in the current folder and returns the command's words."""
    def add(make):
        ROWS.append((what, make, says, status, problems))
        return make
    return add


def bad_config(what, old, new, says, problems=1, command=("run", "c.cfg")):
    """A row whose input is CONFIG with one edit."""
    def make():
        write_config(old, new)
        return command
    if new and len(new) < 80 and "\n" not in new:
        what += f": `{new.strip()}`"
    ROWS.append((what, make, says, 2, problems))


# ---- files ----

CONFIG = """\
campaign = { name = "c"; seed = 1; threads = 1; device = "ref"; };
datasets = (
    { name = "shapes";  format = "procedural"; classes = 4; count = 96; size = 8; },
    { name = "members"; of = "shapes"; begin = 32; count = 32; },
    { name = "heldout"; of = "shapes"; begin = 0;  count = 32; },
    { name = "outside"; of = "shapes"; begin = 64; count = 32; },
    { name = "spare";   of = "shapes"; begin = 64; count = 8; }
);
encoders = (
    { name = "victim"; role = "victim"; heldout = "heldout";
      train = { dataset = "members"; arch = "resnet10"; width = 0.125; loss = "infonce"; epochs = 1; batch = 16; }; },
    { name = "other"; role = "independent";
      train = { dataset = "outside"; loss = "infonce"; arch = "resnet10"; width = 0.125; epochs = 2; batch = 8; }; }
);
steal = ( { victim = "victim"; queries = "outside"; budgets = [ 16, 32 ]; loss = "mse";
            arch = "resnet10"; width = 0.125; epochs = 1; batch = 16; } );
evaluate = { dataset_inference = { components = 2; }; similarity = { }; };
"""
MOCK = 'campaign = { name = "m"; seed = 0; };\nmock = ( { name = "a"; count = 2; seconds = 0.001; } );\n'


def write(name, content):
    os.makedirs(os.path.dirname(name) or ".", exist_ok=True)
    with open(name, "wb") as f:
        f.write(content.encode() if isinstance(content, str) else content)
    return name


def write_config(old="", new=""):
    assert old in CONFIG, old
    return write("c.cfg", CONFIG.replace(old, new, 1))


def save(name, x):
    np.save(name, x)
    return name


def rows_of(n=40, d=4, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d))


def audit_of(heldout, *more):
    save("f.npy", rows_of(seed=1))
    save("m.npy", rows_of(seed=2))
    return ("audit", "--fit", "f.npy", "--members", "m.npy", "--heldout", heldout, "--components", "2", *more)


def cifar10(folder, images=4, label=0, tail=b"", only=None):
    """Six files of images of one colour each; tail is behind the images of the second."""
    names = [f"data_batch_{i}.bin" for i in range(1, 6)] + ["test_batch.bin"]
    for i, name in enumerate(names):
        if only is None or name in only:
            pixels = b"".join(bytes([label]) + bytes([8 * i + k]) * 3072 for k in range(images))
            write(f"{folder}/{name}", pixels + (tail if i == 1 else b""))


def with_data(source):
    """A campaign of one victim, trained on the given source."""
    write("c.cfg", 'campaign = { name = "c"; seed = 1; device = "ref"; };\n'
                   f'datasets = ( {{ name = "all"; {source} }},\n'
                   '    { name = "members"; of = "all"; begin = 0; count = 2; },\n'
                   '    { name = "heldout"; of = "all"; begin = 2; count = 2; } );\n'
                   'encoders = ( { name = "victim"; role = "victim"; heldout = "heldout";\n'
                   '    train = { dataset = "members"; arch = "resnet10"; width = 0.125; epochs = 1; }; } );\n')
    return ("run", "c.cfg")


def resnet10(width=8):
    """Weights by torchvision's names: CIFAR stem, one basic block a stage."""
    rng, t = np.random.default_rng(0), {}

    def convolution(name, out, inputs, k):
        t[name + ".weight"] = (rng.normal(size=(out, inputs, k, k)) * 0.1).astype(np.float32)

    def norm(name, n):
        for part, value in (("weight", 1), ("bias", 0), ("running_mean", 0), ("running_var", 1)):
            t[f"{name}.{part}"] = np.full(n, value, np.float32)

    convolution("conv1", width, 3, 3)
    norm("bn1", width)
    inputs = width
    for stage in range(1, 5):
        block, out = f"layer{stage}.0", width << (stage - 1)
        convolution(block + ".conv1", out, inputs, 3)
        norm(block + ".bn1", out)
        convolution(block + ".conv2", out, out, 3)
        norm(block + ".bn2", out)
        if stage > 1:
            convolution(block + ".downsample.0", out, inputs, 1)
            norm(block + ".downsample.1", out)
        inputs = out
    return t


def safetensors(name, tensors, edit=None, cut=None):
    header, offset, blobs = {}, 0, []
    for key, x in tensors.items():
        header[key] = {"dtype": {"<f4": "F32", "<i8": "I64"}[x.dtype.str], "shape": list(x.shape),
                       "data_offsets": [offset, offset + x.nbytes]}
        offset += x.nbytes
        blobs.append(x.tobytes())
    if edit:
        edit(header)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return write(name, (len(text).to_bytes(8, "little") + text + b"".join(blobs))[:cut])


def embed_of(weights="w.safetensors", images=None, *more):
    save("x.npy", np.zeros((2, 3, 8, 8), np.uint8) if images is None else images)
    return ("embed", "--weights", weights, "--arch", "resnet10", "--width", "0.125", "--images", "x.npy",
            "--out", "r.npy", "--device", "ref", *more)


def mock_run():
    write("m.cfg", MOCK)
    done = subprocess.run([DINF, "run", "m.cfg", "--out", "d"], capture_output=True, text=True, timeout=TIME_LIMIT)
    assert done.returncode == 0, done.stderr


# ---- configs ----

OTHER = 'dataset = "outside"; loss = "infonce"; arch = "resnet10";'
bad_config("unknown block", "evaluate =", "evalaute =", 'did you mean "evaluate"?')
bad_config("unknown key of a training", "epochs = 2;", "epocs = 2;",
           'c.cfg:13: unknown option "epocs"; did you mean "epochs"?')
bad_config("unknown key of a data set", "classes = 4;", "clases = 4;", 'c.cfg:3: unknown option "clases"')
bad_config("unknown key of the campaign", "threads = 1;", "treads = 1;", "threads")
bad_config("unknown key of an evaluation", "components = 2;", "componets = 2;", "components")
bad_config("unknown evaluation", "similarity = { }", "similarty = { }", "similarity")
bad_config("unknown loss", OTHER, OTHER.replace("infonce", "infonse"), 'did you mean "infonce"?')
bad_config("unknown architecture", OTHER, OTHER.replace("resnet10", "resnet11"), "resnet10")
bad_config("unknown data set format", 'format = "procedural"', 'format = "procedual"', "procedural")
bad_config("unknown role", 'role = "independent"', 'role = "bystander"', "victim, independent or suspect")
bad_config("unknown statistic", "components = 2;", 'statistics = [ "gap", "laerned" ];', "learned")
bad_config("unknown device", 'device = "ref"', 'device = "reff"', "ref")
bad_config("an option of another loss", 'loss = "mse";', 'loss = "mse"; temperature = 0.1;', "temperature")
bad_config("a word where a number belongs", "epochs = 2;", 'epochs = "many";', "epochs must be an integer")
bad_config("a number where a word belongs", OTHER, OTHER.replace('"infonce"', "3"), "loss must be a string")
bad_config("a fraction where a whole number belongs", "epochs = 2;", "epochs = 1.5;", "epochs must be an integer")
bad_config("a number where a group belongs", "similarity = { }", "similarity = 3", "similarity")
bad_config("below its bound", "epochs = 2;", "epochs = 0;", "1 .. 1000000")
bad_config("above its bound", "batch = 8;", "batch = 100000;", "1 .. 65536")
bad_config("no trials", "seed = 1;", "seed = 1; trials = 0;", "trials = 0")
bad_config("an integer beyond 32 bits without L", "seed = 1;", "seed = 4294967297;", "write 4294967297L")
bad_config("an integer beyond 64 bits", "seed = 1;", "seed = 99999999999999999999L;", "c.cfg:1")
bad_config("a blank that is none", "epochs = 2;", "epochs =\u00a02;",
           "c.cfg:13: column 98 has a no-break space (U+00A0): write a blank in its place")
bad_config("a minus that is none", "seed = 1;", "seed = \u22121;", "has a minus sign (U+2212): write - in its place")
bad_config("quotes of a word processor", 'device = "ref"', "device = \u201cref\u201d",
           'has a left double quotation mark (U+201C): write " in its place')
bad_config("a name that ends with nothing to be seen", 'queries = "outside"', 'queries = "outside\u200b"',
           'did you mean "outside"?; column 50 has a zero-width space (U+200B)')
bad_config("a NaN", "epochs = 2;", "lr = nan;", "c.cfg:13: syntax error")
bad_config("a bracket is missing", "batch = 8; }; }", "batch = 8; ; }", "c.cfg:13: syntax error")
bad_config("the file ends early", CONFIG[-60:], "", "syntax error")
bad_config("the same key twice", "epochs = 2;", "epochs = 2; epochs = 3;", "c.cfg:13: ")
bad_config("two problems are two lines", "epochs = 2; batch = 8;", "epochs = 0; bacth = 8;", "batch", problems=2)
bad_config("a wrong architecture hides nothing", OTHER + ' width = 0.125; epochs = 2;',
           OTHER.replace("resnet10", "resnet11") + '\n          width = 99.0; epocs = 2;', "c.cfg:14: unknown option",
           problems=3)
bad_config("a wrong format hides nothing", 'format = "procedural"; classes = 4; count = 96;',
           'format = "procedual"; clases = 4; count = -1;', "classes", problems=3)
bad_config("a wrong augmentation of the queries hides nothing", 'loss = "mse";',
           'loss = "mse"; query = { augment = "simclear"; viws = 2; };', "views", problems=2)
bad_config("an empty list hides nothing", "epochs = 2; batch = 8;", "epochs = [ ]; bacth = 8;", "is an empty list",
           problems=2)
bad_config("an augmentation of a theft", 'loss = "mse";', 'loss = "mse"; augment = "weak";',
           "query = { augment = ...; }")
bad_config("its strength", 'loss = "mse";', 'loss = "mse"; crop_min = 0.5;', "query = { augment = ...; }")
bad_config("a projector of a theft", 'loss = "mse";', 'loss = "mse"; projector = "none";', 'head = "mlp"')
bad_config("a head outside of thefts", "epochs = 2;", 'epochs = 2; head = "mlp";', "belongs in a steal group")
bad_config("a budget among the queries' options", 'loss = "mse";', 'loss = "mse"; query = { budget = 3; };',
           "budgets = [ ... ]")
bad_config("crops from large to small", "epochs = 2;", "epochs = 2; crop_min = 0.9; crop_max = 0.5;",
           "c.cfg:13: crop_min = 0.9 is larger than crop_max = 0.5")
bad_config("queries' crops from large to small", 'loss = "mse";',
           'loss = "mse"; query = { augment = "weak"; crop_max = 0.5; };',
           "crop_min = 0.8 is larger than crop_max = 0.5")
bad_config("a loss that needs a victim", OTHER, OTHER.replace("infonce", "mse"),
           "c.cfg:13: the loss mse needs a victim's")
bad_config("a batch of 1 with nothing to contrast", "batch = 8;", "batch = 1;", "c.cfg:13: batch = 1 is too few")
bad_config("a budget of 1 with nothing to contrast", 'budgets = [ 16, 32 ]; loss = "mse";',
           'budgets = [ 1, 32 ]; loss = "infonce";', "c.cfg:15: 1 image to train on")
bad_config("one image to train on", "begin = 64; count = 32", "begin = 64; count = 1",
           "c.cfg:13: 1 image to train on", problems=3)
bad_config("a thief of another dimension", 'loss = "mse";\n            arch = "resnet10";',
           'loss = "mse";\n            arch = "resnet26";', "c.cfg:16: the thief's representation has 256 dimensions")
bad_config("more components than rows to fit", "components = 2;", "components = 17;",
           "c.cfg:17: a mixture of 17 components needs at least as many rows; of 32 members 16 fit it")
bad_config("a statistic twice", "components = 2;", 'components = 2; statistics = [ "gap", "gap" ];', '"gap" twice')
bad_config("no statistics", "components = 2;", "components = 2; statistics = [ ];", "at least one of gap or learned")
bad_config("no obfuscations", "similarity = { }", "similarity = { obfuscations = [ ]; }",
           "at least one of none, shuffle")
bad_config("a data set that is not there", OTHER, OTHER.replace("outside", "outsid"), 'did you mean "outside"?')
bad_config("held-out images that are not there", 'heldout = "heldout"', 'heldout = "hedlout"',
           'did you mean "heldout"?')
bad_config("a victim that is not there", 'victim = "victim"; queries', 'victim = "victin"; queries',
           'did you mean "victim"?')
bad_config("a theft from an independent", 'victim = "victim"; queries', 'victim = "other"; queries', "independent")
bad_config("queries that are not there", 'queries = "outside"', 'queries = "outsid"', 'did you mean "outside"?')
bad_config("a data set made of itself", '"spare";   of = "shapes"', '"spare";   of = "spare"', "made of itself")
bad_config("two data sets made of each other", 'format = "procedural"; classes = 4; count = 96; size = 8;',
           'of = "spare";', "made of itself")
bad_config("two data sets of one name", '"spare"; ', '"outside"; ', "two data sets")
bad_config("two encoders of one name", 'name = "other"', 'name = "victim"', "two encoders")
bad_config("two encoders that are one experiment",
           'role = "independent";\n      train = { dataset = "outside"; loss = "infonce"; arch = "resnet10"; '
           'width = 0.125; epochs = 2; batch = 8;',
           'role = "independent"; allow_overlap = true;\n      train = { dataset = "members"; loss = "infonce"; '
           'arch = "resnet10"; width = 0.125; epochs = 1; batch = 16;', "same experiment")
bad_config("a name without end", 'name = "other"', f'name = "{"x" * 300}"', "characters")
bad_config("a campaign without name", 'name = "c"; ', "", "name is missing")
bad_config("a campaign's name that is a path", 'name = "c"', 'name = "../c"', "cannot name a folder")
bad_config("a subset beyond its set", "begin = 64; count = 8", "begin = 90; count = 8", "of a set that has 96")
bad_config("members and held-out images overlap", "begin = 32; count = 32", "begin = 31; count = 32", "share")
bad_config("an independent's training set overlaps the victim's", "begin = 64; count = 32", "begin = 63; count = 32",
           "allow_overlap")
bad_config("queries that are held-out images", 'queries = "outside"', 'queries = "heldout"', "told apart by them")
bad_config("a budget beyond the query set", "budgets = [ 16, 32 ]", "budgets = [ 16, 33 ]", "33 images")
bad_config("a budget of 0", "budgets = [ 16, 32 ]", "budgets = [ 0 ]", "at least 1")
bad_config("budget in place of budgets", "budgets = [ 16, 32 ]", "budget = 16", 'did you mean "budgets"?', problems=2)
bad_config("no budgets at all", "budgets = [ 16, 32 ]", "budgets = [ ]", "budgets is empty")
bad_config("a broken victim is one problem", "epochs = 1; batch = 16; }; },", "epochs = 0; batch = 16; }; },", "epochs = 0")
bad_config("an encoder's name with a slash", 'name = "other"', 'name = "../other"', "must not have a slash")
bad_config("a data set's name with a slash", 'name = "spare"', 'name = "a/spare"', "must not have a slash")
bad_config("a theft without queries", 'queries = "outside"; ', "", "queries is missing")
bad_config("a victim without held-out images", ' heldout = "heldout";', "", "heldout")
bad_config("an encoder that is neither trained nor imported", 'role = "independent";\n      train',
           'role = "independent";\n      trian', "train", problems=2)
bad_config("an encoder that is both trained and imported", 'role = "independent";',
           'role = "independent"; weights = "w.safetensors";', "either")


def bad_representations(what, says, members="m.npy", heldout="h.npy", role="suspect", problems=1, victims=1):
    """A row about a suspect that is only files: m.npy and h.npy are good."""
    def make():
        other = '{ name = "other"; role = "independent";'
        files = "".join(f'{k} = "{v}"; ' for k, v in (("members", members), ("heldout", heldout)) if v)
        write_config(other, f'{{ name = "api"; role = "{role}"; representations = {{ {files}}}; }},\n    '
                     + (other if victims == 1 else '{ name = "other"; role = "victim"; heldout = "heldout";'))
        x = np.random.default_rng(0).normal(size=(32, 8))
        np.save("m.npy", x), np.save("h.npy", x[::-1]), np.save("short.npy", x[1:]), np.save("wide.npy", np.hstack([x, x]))
        np.save("text.npy", np.full((32, 8), "a")), np.save("flat.npy", x[:, 0])
        return "run", "c.cfg"
    ROWS.append((what, make, says, 2, problems))


bad_representations("representations of too few images", "short.npy has 31 rows where the set has 32", heldout="short.npy")
bad_representations("representations that are missing", "c.cfg:12: cannot open", members="none.npy")
bad_representations("representations that are text", "'<U1' (text) is not supported", members="text.npy")
bad_representations("representations in one dimension", "this has the shape (32,)", members="flat.npy")
bad_representations("representations of two lengths", "length 16, but others of api have 8", heldout="wide.npy")
bad_representations("representations of the members alone", 'of the held-out images "heldout"', heldout=None)
bad_representations("representations of two victims' members in one file", 'name the set, as outside = "FILE.npy"',
                    victims=2)
bad_representations("representations of neither victim's members", 'the members "outside": outside = "FILE.npy" is wanted',
                    members=None, problems=2, victims=2)
bad_representations("one file for members and held-out images", "are the same file", heldout="m.npy")
bad_representations("a victim that is only representations", "a victim's weights are needed", role="victim")
bad_config("an unset environment variable", 'format = "procedural"; classes = 4; count = 96; size = 8;',
           'format = "cifar10"; path = "${NO_SUCH_VARIABLE}/cifar";', "NO_SUCH_VARIABLE")
bad_config("an @include that is missing", "similarity = { };", '\n@include "none.cfg"\n', "none.cfg")
bad_config("an @include within a line", "similarity = { };", '@include "none.cfg"', "line of its own")
bad_config("an initial state that is missing", "epochs = 2;", 'epochs = 2; init = "none.safetensors";',
           "none.safetensors")
bad_config("--set of an unknown key", "", "", "epochs",
           command=("run", "c.cfg", "--set", "encoders.other.train.epocs=3"))
bad_config("--set of an encoder that is not there", "", "", 'did you mean "victim"?',
           command=("run", "c.cfg", "--set", "encoders.victin.train.epochs=3"))
bad_config("--set of a wrong type", "", "", "seed", command=("run", "c.cfg", "--set", "campaign.seed=many"))
bad_config("--set without a value", "", "", "PATH=VALUE", command=("run", "c.cfg", "--set", "campaign.seed"))
bad_config("--set of nothing", "", "", "--set", command=("run", "c.cfg", "--set"))
bad_config("--device of another name", "", "", "cpu", command=("run", "c.cfg", "--device", "gpu"))
bad_config("--grace below 0", "", "", "grace", command=("run", "c.cfg", "--grace", "-1"))
bad_config("plan: a problem of the config", "epochs = 2;", "epocs = 2;", "epochs", command=("plan", "c.cfg"))
bad_config("plan: no ranks", "", "", "ranks = 0", command=("plan", "c.cfg", "--ranks", "0"))
bad_config("plan: a word for a number", "", "", "ranks must be an integer", command=("plan", "c.cfg", "--ranks", "two"))


@row("a config that is missing", "none.cfg")
def _():
    return ("run", "none.cfg")


@row("a config that is a folder", "c.cfg")
def _():
    os.mkdir("c.cfg")
    return ("run", "c.cfg")


@row("a config that is a pipe", "c.cfg")
def _():
    os.mkfifo("c.cfg")
    return ("run", "c.cfg")


@row("an empty config", "campaign")
def _():
    write("c.cfg", "")
    return ("run", "c.cfg")


@row("a config of random bytes", "c.cfg:")
def _():
    write("c.cfg", np.random.default_rng(3).bytes(400))
    return ("run", "c.cfg")


@row("configs that include each other", "include")
def _():
    write("b.cfg", '@include "c.cfg"\n')
    write("c.cfg", '@include "b.cfg"\n')
    return ("run", "c.cfg")


@row("a problem in an included file", "b.cfg:1")
def _():
    write("b.cfg", "epocs = 1;")
    write_config("epochs = 2;", '\n@include "b.cfg"\n')
    return ("run", "c.cfg")


@row("a group where a list belongs", "mock must be a list")
def _():
    write("c.cfg", 'campaign = { name = "c"; seed = 0; };\nmock = { name = "a"; };\n')
    return ("run", "c.cfg")


@row("mock tasks that wait for each other", "no earlier mock block", problems=2)
def _():
    write("c.cfg", 'campaign = { name = "c"; seed = 0; };\nmock = (\n    { name = "a"; after = "b"; },\n'
                   '    { name = "b"; after = "a"; } );\n')
    return ("run", "c.cfg")


@row("mock tasks that wait for nobody", 'no earlier mock block "b"')
def _():
    write("c.cfg", 'campaign = { name = "c"; seed = 0; };\nmock = ( { name = "a"; after = "b"; } );\n')
    return ("run", "c.cfg")


@row("a suspect whose weights are missing", "none.safetensors")
def _():
    write_config('name = "other"; role = "independent";\n      train = { dataset = "outside"; loss = "infonce"; '
                 'arch = "resnet10"; width = 0.125; epochs = 2; batch = 8; };',
                 'name = "other"; role = "suspect"; weights = "none.safetensors"; arch = "resnet10"; width = 0.125;')
    return ("run", "c.cfg")


@row("a suspect normalised by one number", "mean must be three numbers")
def _():
    write("w.safetensors", "weights")
    write_config('name = "other"; role = "independent";\n      train = { dataset = "outside"; loss = "infonce"; '
                 'arch = "resnet10"; width = 0.125; epochs = 2; batch = 8; };',
                 'name = "other"; role = "suspect"; weights = "w.safetensors"; arch = "resnet10"; mean = [ 0.5 ];')
    return ("run", "c.cfg")


@row("a data set of a format that is near none", "it is one of cifar10, cifar100, npy or procedural", problems=1)
def _():
    return with_data('format = "imagefolder"; path = "x";')


@row("images that are not square", "size = N resizes them")
def _():
    save("x.npy", np.zeros((4, 3, 8, 6), np.uint8))
    return with_data('format = "npy"; path = "x.npy";')


# ---- images ----

@row("CIFAR-10: no such folder", "cifar")
def _():
    return with_data('format = "cifar10"; path = "cifar";')


@row("CIFAR-10: the Python version", "cifar holds data_batch_1, which is another version of CIFAR-10")
def _():
    write("cifar/data_batch_1", "x")
    return with_data('format = "cifar10"; path = "cifar";')


@row("CIFAR-100: the folder above the Python version", "data holds cifar-100-python, which is another version")
def _():
    write("data/cifar-100-python/train", "x")
    return with_data('format = "cifar100"; path = "data";')


@row("CIFAR-10: the archive", "cifar-10-binary.tar.gz is an archive: unpack that of the binary version")
def _():
    write("cifar-10-binary.tar.gz", "x")
    return with_data('format = "cifar10"; path = "cifar-10-binary.tar.gz";')


@row("CIFAR-10: a batch where the folder is wanted", "is not a folder")
def _():
    cifar10("cifar")
    return with_data('format = "cifar10"; path = "cifar/test_batch.bin";')


@row("CIFAR-10: a batch that is a pipe", "data_batch_1.bin is not a file")
def _():
    cifar10("cifar")
    os.remove("cifar/data_batch_1.bin")
    os.mkfifo("cifar/data_batch_1.bin")
    return with_data('format = "cifar10"; path = "cifar";')


@row("CIFAR-10: a batch is missing", "data_batch_5.bin")
def _():
    cifar10("cifar", only=[f"data_batch_{i}.bin" for i in range(1, 5)])
    return with_data('format = "cifar10"; path = "cifar";')


@row("CIFAR-10: a batch is cut off", "data_batch_2.bin")
def _():
    cifar10("cifar", tail=bytes(100))
    return with_data('format = "cifar10"; path = "cifar";')


@row("CIFAR-10: every batch is empty", "empty")
def _():
    cifar10("cifar", images=0)
    return with_data('format = "cifar10"; path = "cifar";')


@row("CIFAR-10: a label beyond the classes", "label")
def _():
    cifar10("cifar", label=10)
    return with_data('format = "cifar10"; path = "cifar";')


@row("CIFAR-10: a batch that is a folder", "data_batch_1.bin")
def _():
    cifar10("cifar")
    os.remove("cifar/data_batch_1.bin")
    os.mkdir("cifar/data_batch_1.bin")
    return with_data('format = "cifar10"; path = "cifar";')


@row("CIFAR-100: files of CIFAR-10's record size", "train.bin")
def _():
    write("cifar/train.bin", bytes(3073 * 4))
    write("cifar/test.bin", bytes(3073 * 4))
    return with_data('format = "cifar100"; path = "cifar";')


@row("CIFAR-100: a fine label beyond the classes", "label")
def _():
    write("cifar/train.bin", b"".join(bytes([0, 100]) + bytes([k]) * 3072 for k in range(4)))
    write("cifar/test.bin", (bytes([0, 0]) + bytes(3072)) * 4)
    return with_data('format = "cifar100"; path = "cifar";')


@row("CIFAR-100: an oversized file", "train.bin")
def _():
    write("cifar/train.bin", bytes(3074 * 4 + 1))
    return with_data('format = "cifar100"; path = "cifar";')


@row("images .npy: missing", "x.npy")
def _():
    return with_data('format = "npy"; path = "x.npy";')


@row("images .npy: floats where bytes belong", "x.npy holds float32: images of a data set are integers")
def _():
    save("x.npy", np.zeros((4, 3, 8, 8), np.float32))
    return with_data('format = "npy"; path = "x.npy";')


@row("images .npy: two axes", "x.npy")
def _():
    save("x.npy", np.zeros((4, 192), np.uint8))
    return with_data('format = "npy"; path = "x.npy";')


@row("images .npy: channels at the end, without layout", "x.npy")
def _():
    save("x.npy", np.zeros((4, 8, 8, 3), np.uint8))
    return with_data('format = "npy"; path = "x.npy";')


@row("images .npy: as many labels are wanted as images", "labels")
def _():
    save("x.npy", np.zeros((4, 3, 8, 8), np.uint8))
    save("y.npy", np.zeros(3, np.int64))
    return with_data('format = "npy"; path = "x.npy"; labels = "y.npy";')


@row("images .npy: no images at all", "x.npy holds no images: its shape is (0, 3, 8, 8)")
def _():
    save("x.npy", np.zeros((0, 3, 8, 8), np.uint8))
    return with_data('format = "npy"; path = "x.npy";')


@row("images .npy: beyond a byte", "x.npy: element [3, 2, 7, 7] is 256, not 0 to 255")
def _():
    x = np.zeros((4, 3, 8, 8), np.int16)
    x[-1, -1, -1, -1] = 256
    save("x.npy", np.asfortranarray(x))
    return with_data('format = "npy"; path = "x.npy";')


@row("images .npy: a label below -1", "y.npy: label -2 of image 1 is out of range: labels count from 0, -1 is none")
def _():
    save("x.npy", np.zeros((4, 3, 8, 8), np.uint8))
    save("y.npy", np.array([-1, -2, 0, 1]))
    return with_data('format = "npy"; path = "x.npy"; labels = "y.npy";')


@row("images .npy: labels that are no whole numbers", "y.npy holds float64: labels are integers")
def _():
    save("x.npy", np.zeros((4, 3, 8, 8), np.uint8))
    save("y.npy", np.zeros(4))
    return with_data('format = "npy"; path = "x.npy"; labels = "y.npy";')


@row("images .npy: a pipe", "x.npy is not a regular file")
def _():
    os.mkfifo("x.npy")
    return with_data('format = "npy"; path = "x.npy";')


@row("images .npy: labels that are a device", "is not a regular file")
def _():
    save("x.npy", np.zeros((4, 3, 8, 8), np.uint8))
    return with_data('format = "npy"; path = "x.npy"; labels = "/dev/zero";')


@row("images: a crop beyond what is left of them", "crop = 7 is more than the 6 pixels of the shorter side after size")
def _():
    save("x.npy", np.zeros((4, 3, 16, 8), np.uint8))
    return with_data('format = "npy"; path = "x.npy"; size = 6; crop = 7;')


@row("held-out images that are not square", 'c.cfg:3: data set "odd": an encoder takes square images, these are 8 x 6')
def _():
    save("x.npy", np.random.default_rng(0).integers(0, 256, (32, 3, 8, 6), dtype=np.uint8))
    write_config('heldout = "heldout"', 'heldout = "odd"')
    write("c.cfg", open("c.cfg").read().replace("datasets = (", 'datasets = (\n    { name = "odd"; format = "npy"; '
                                                'path = "x.npy"; },'))
    return ("run", "c.cfg")


@row("queries that are not square", 'c.cfg:3: data set "odd": an encoder takes square images, these are 8 x 6')
def _():
    save("x.npy", np.random.default_rng(0).integers(0, 256, (32, 3, 8, 6), dtype=np.uint8))
    write_config('queries = "outside"', 'queries = "odd"')
    write("c.cfg", open("c.cfg").read().replace("datasets = (", 'datasets = (\n    { name = "odd"; format = "npy"; '
                                                'path = "x.npy"; },'))
    return ("run", "c.cfg")


# ---- audit ----

@row("audit: no files", "--fit is required")
def _():
    return ("audit",)


@row("audit: a file that is missing", "none.npy")
def _():
    return audit_of("none.npy")


@row("audit: a folder for a file", "h.npy")
def _():
    os.mkdir("h.npy")
    return audit_of("h.npy")


@row("audit: a pipe for a file", "h.npy is not a regular file")
def _():
    os.mkfifo("h.npy")
    return audit_of("h.npy")


@row("audit: .npy that is not one", "h.npy")
def _():
    return audit_of(write("h.npy", b"PK\x03\x04 and so on"))


@row("audit: .npz", "h.npy: not a .npy file but a ZIP archive, as numpy.savez writes .npz: save one array by numpy.save")
def _():
    with open("h.npy", "wb") as f:
        np.savez(f, rows_of())
    return audit_of("h.npy")


@row("audit: .npy that is packed", "h.npy.gz: not a .npy file but compressed by gzip: unpack it first")
def _():
    save("h.npy", rows_of())
    return audit_of(write("h.npy.gz", gzip.compress(open("h.npy", "rb").read(), mtime=0)))


@row("audit: a table of text", "h.csv: not a .npy file")
def _():
    return audit_of(write("h.csv", "1,2,3,4\n" * 40))


@row("audit: an empty file", "h.npy: not a .npy file but an empty file")
def _():
    return audit_of(write("h.npy", b""))


@row("audit: .npy of records", "h.npy: an array of records: save one of its fields by itself")
def _():
    return audit_of(save("h.npy", np.zeros(40, [("a", "f4"), ("b", "f8")])))


@row("audit: .npy of a type that NumPy does not know", "(raw bytes, as bfloat16 is saved) is not supported")
def _():
    return audit_of(save("h.npy", np.zeros((40, 4), "V2")))


@row("audit: .npy of one axis", "this has the shape (40,)")
def _():
    return audit_of(save("h.npy", np.zeros(40)))


@row("audit: .npy of a number", "this has the shape ()")
def _():
    return audit_of(save("h.npy", np.float32(3)))


@row("audit: .npy without rows, however wide", "h.npy is empty: its shape is (0, 2147483648)")
def _():
    return audit_of(save("h.npy", np.zeros((0, 2 ** 31), np.float32)))


@row("audit: .npy without columns", "h.npy is empty: its shape is (40, 0)")
def _():
    return audit_of(save("h.npy", np.zeros((40, 0), np.float32, order="F")))


@row("audit: a NaN of half a float in Fortran order", "h.npy: row 7, column 2 (from 0) is not a number")
def _():
    x = rows_of().astype(">f2")
    x[7, 2] = np.nan
    return audit_of(save("h.npy", np.asfortranarray(x)))


@row("audit: .npy of two arrays", "oversized: the shape needs 1280 bytes of data, the file has 2688: one array a file")
def _():
    with open("h.npy", "wb") as f:
        np.save(f, rows_of())
        np.save(f, rows_of())
    return audit_of("h.npy")


@row("audit: .npy of complex numbers", "h.npy")
def _():
    return audit_of(save("h.npy", rows_of().astype(np.complex128)))


@row("audit: .npy that is cut off", "h.npy")
def _():
    save("h.npy", rows_of())
    with open("h.npy", "rb+") as f:
        f.truncate(os.path.getsize("h.npy") - 10)
    return audit_of("h.npy")


@row("audit: .npy with bytes behind its end", "h.npy")
def _():
    save("h.npy", rows_of())
    with open("h.npy", "ab") as f:
        f.write(bytes(8))
    return audit_of("h.npy")


@row("audit: .npy of three axes", "h.npy")
def _():
    return audit_of(save("h.npy", np.zeros((4, 5, 2))))


@row("audit: .npy of a shape that overflows", "h.npy")
def _():
    save("h.npy", rows_of())
    with open("h.npy", "rb+") as f:
        content = f.read().replace(b"(40, 4), }" + b" " * 30, b"(4611686018427387904, 4), }" + b" " * 13)
        f.seek(0)
        f.write(content)
    return audit_of("h.npy")


@row("audit: a NaN, with its row", "row 7")
def _():
    x = rows_of()
    x[7, 2] = np.nan
    return audit_of(save("h.npy", x))


@row("audit: an infinity", "row 3")
def _():
    x = rows_of()
    x[3, 1] = np.inf
    return audit_of(save("h.npy", x))


@row("audit: no rows", "h.npy")
def _():
    return audit_of(save("h.npy", rows_of(n=0)))


@row("audit: one held-out row is no sample", "assumptions violated", status=0)
def _():
    return audit_of(save("h.npy", rows_of(n=1)))


@row("audit: other columns", "columns")
def _():
    return audit_of(save("h.npy", rows_of(d=5)))


@row("audit: more components than rows", "50")
def _():
    return audit_of(save("h.npy", rows_of()), "--components", "50")


@row("audit: no components", "components")
def _():
    return audit_of(save("h.npy", rows_of()), "--components", "0")


@row("audit: an alpha beyond 1", "alpha")
def _():
    return audit_of(save("h.npy", rows_of()), "--alpha", "5")


@row("audit: unknown covariance", "diag")
def _():
    return audit_of(save("h.npy", rows_of()), "--covariance", "diagonal")


@row("audit: a misspelt option", "alpha")
def _():
    return audit_of(save("h.npy", rows_of()), "--alhpa", "0.1")


@row("audit: an option without its value", "--seed wants a value")
def _():
    return audit_of(save("h.npy", rows_of()), "--seed")


@row("audit: too few rows for the learned statistic", "assumptions violated", status=0)
def _():
    audit_of(save("h.npy", rows_of(n=4)))
    return ("audit", "--fit", "f.npy", "--members", "m.npy", "--heldout", "h.npy", "--statistic", "learned")


@row("audit: an option without effect", "--components has no effect")
def _():
    return audit_of(save("h.npy", rows_of()), "--statistic", "learned")


@row("audit: no splits", "splits")
def _():
    return audit_of(save("h.npy", rows_of()), "--splits", "0")


@row("audit: images of members alone", "give both or none")
def _():
    return audit_of(save("h.npy", rows_of()), "--images-fit", save("x.npy", np.zeros((12, 3, 8, 8), np.uint8)))


def audit_with_images(fit, heldout):
    return audit_of(save("h.npy", rows_of()), "--images-fit", save("x.npy", fit), "--images-heldout",
                    save("y.npy", heldout))


@row("audit: bytes and floats are no images to compare", "cannot be compared")
def _():
    return audit_with_images(np.zeros((12, 3, 8, 8), np.uint8), np.zeros((12, 3, 8, 8), np.float32))


@row("audit: too few images to compare", "at least 10 images")
def _():
    return audit_with_images(np.zeros((12, 3, 8, 8), np.uint8), np.zeros((4, 3, 8, 8), np.uint8))


@row("audit: images that are none", "1 or 3 channels")
def _():
    return audit_with_images(np.zeros((12, 8, 8, 4), np.uint8), np.zeros((12, 3, 8, 8), np.uint8))


@row("audit: an image with a NaN", "image 2")
def _():
    x = np.zeros((12, 3, 8, 8), np.float32)
    x[2, 1, 3, 4] = np.nan
    return audit_with_images(x, np.zeros((12, 3, 8, 8), np.float32))


@row("audit: the same rows again and again", "repeat other rows", status=0)
def _():
    return audit_of(save("h.npy", np.tile(rows_of(n=10), (4, 1))))


# ---- HDF5 ----

@row("compare: HDF5 that is not", "a.h5")
def _():
    write("a.h5", b"not a file of HDF5")
    return ("compare", "a.h5:/x", save("b.npy", rows_of()))


@row("compare: a path that HDF5 lacks", "/y")
def _():
    with h5py.File("a.h5", "w") as f:
        f["x"] = rows_of()
    return ("compare", "a.h5:/y", save("b.npy", rows_of()))


@row("compare: HDF5 without a path", "a.h5")
def _():
    with h5py.File("a.h5", "w") as f:
        f["x"] = rows_of()
    return ("compare", "a.h5", save("b.npy", rows_of()))


@row("compare: a group of HDF5", "/g")
def _():
    with h5py.File("a.h5", "w") as f:
        f["g/x"] = rows_of()
    return ("compare", "a.h5:/g", save("b.npy", rows_of()))


@row("compare: text in HDF5", "a.h5:/x")
def _():
    with h5py.File("a.h5", "w") as f:
        f["x"] = "words"
    return ("compare", "a.h5:/x", save("b.npy", rows_of()))


@row("compare: HDF5 that is cut off", "a.h5")
def _():
    with h5py.File("a.h5", "w") as f:
        f["x"] = rows_of(n=4000)
    with open("a.h5", "rb+") as f:
        f.truncate(3000)
    return ("compare", "a.h5:/x", save("b.npy", rows_of()))


@row("compare: one file", "two representation files")
def _():
    return ("compare", save("a.npy", rows_of()))


@row("compare: other rows", "rows")
def _():
    return ("compare", save("a.npy", rows_of()), save("b.npy", rows_of(n=41)))


@row("compare: a file name without a known ending", "a.csv")
def _():
    return ("compare", write("a.csv", "1,2\n3,4\n"), save("b.npy", rows_of()))


# ---- safetensors ----

@row("embed: weights that are missing", "none.safetensors")
def _():
    return embed_of("none.safetensors")


@row("embed: weights of torch.save", "torch.save")
def _():
    write("w.safetensors", b"PK\x03\x04" + bytes(200))
    return embed_of()


@row("embed: weights of an older torch.save", "a pickle")
def _():
    write("w.safetensors", b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19." + bytes(200))
    return embed_of()


@row("embed: a git-lfs pointer", "`git lfs pull` fetches it")
def _():
    write("w.safetensors", "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n")
    return embed_of()


@row("embed: an HTML page", "an HTML page")
def _():
    write("w.safetensors", "<!DOCTYPE html>\n<html><body>404</body></html>\n")
    return embed_of()


@row("embed: weights of Keras", "an HDF5 file")
def _():
    with h5py.File("w.safetensors", "w") as f:
        f["x"] = rows_of()
    return embed_of()


@row("embed: weights of NumPy", ".npz archive")
def _():
    np.savez("w.npz", x=rows_of())
    os.rename("w.npz", "w.safetensors")
    return embed_of()


@row("embed: empty weights", "an empty file")
def _():
    write("w.safetensors", b"")
    return embed_of()


@row("embed: a header that is cut off", "w.safetensors")
def _():
    safetensors("w.safetensors", resnet10(), cut=200)
    return embed_of()


@row("embed: tensors that are cut off", "w.safetensors")
def _():
    safetensors("w.safetensors", resnet10(), cut=-100)
    return embed_of()


@row("embed: tensors that overlap", "conv1.weight")
def _():
    def edit(header):
        header["bn1.weight"]["data_offsets"] = [0, 32]
    safetensors("w.safetensors", resnet10(), edit)
    return embed_of()


@row("embed: a shape that is not its bytes'", "bn1.bias")
def _():
    def edit(header):
        header["bn1.bias"]["shape"] = [9]
    safetensors("w.safetensors", resnet10(), edit)
    return embed_of()


@row("embed: unknown dtype", "F99")
def _():
    def edit(header):
        header["bn1.bias"]["dtype"] = "F99"
    safetensors("w.safetensors", resnet10(), edit)
    return embed_of()


@row("embed: a tensor is missing", "layer3.0.bn2.running_var")
def _():
    t = resnet10()
    del t["layer3.0.bn2.running_var"]
    safetensors("w.safetensors", t)
    return embed_of()


@row("embed: a tensor too many", "layer5.0.conv1.weight")
def _():
    t = resnet10()
    t["layer5.0.conv1.weight"] = np.zeros((4, 4, 3, 3), np.float32)
    safetensors("w.safetensors", t)
    return embed_of()


@row("embed: another width", "conv1.weight")
def _():
    safetensors("w.safetensors", resnet10(width=16))
    return embed_of()


@row("embed: another stem", "is wanted; it is of the stem cifar")
def _():
    safetensors("w.safetensors", {"m." + k: x for k, x in resnet10().items()})
    return embed_of("w.safetensors", None, "--stem", "imagenet")


@row("embed: whole numbers for weights", "bn1.bias")
def _():
    t = resnet10()
    t["bn1.bias"] = np.zeros(8, np.int64)
    safetensors("w.safetensors", t)
    return embed_of()


@row("embed: a NaN among the weights", "not finite")
def _():
    t = resnet10()
    t["conv1.weight"][0, 0, 0, 0] = np.nan
    safetensors("w.safetensors", t)
    return embed_of()


@row("embed: names with a prefix", "conv1.weight is missing; try --strip module.")
def _():
    safetensors("w.safetensors", {"module." + k: x for k, x in resnet10().items()})
    return embed_of()


@row("embed: two encoders, each with a prefix", "try --strip q. or --strip k.")
def _():
    safetensors("w.safetensors", {prefix + k: x for prefix in ("q.", "k.") for k, x in resnet10().items()})
    return embed_of()


@row("embed: a prefix that is not there", "m.conv1.weight is missing; try --strip module.")
def _():
    safetensors("w.safetensors", {"module." + k: x for k, x in resnet10().items()})
    return embed_of("w.safetensors", None, "--strip", "m.")


@row("embed: a prefix that cannot help, and none is suggested", "module.layer2.0.conv2.weight is missing")
def _():
    t = {"module." + k: x for k, x in resnet10().items()}
    del t["module.layer2.0.conv2.weight"]
    safetensors("w.safetensors", t)
    return embed_of()


@row("embed: a new name without an old one", "rename wants A=B")
def _():
    safetensors("w.safetensors", resnet10())
    return embed_of("w.safetensors", None, "--rename", "=conv1")


@row("embed: two tensors of one new name", "would both be bn1.bias")
def _():
    safetensors("w.safetensors", resnet10() | {"norm1.bias": np.zeros(8, np.float32)})
    return embed_of("w.safetensors", None, "--rename", "norm1=bn1")


@row("embed: a negative variance", "bn1.running_var holds a negative variance (-1)")
def _():
    safetensors("w.safetensors", resnet10() | {"bn1.running_var": np.full(8, -1, np.float32)})
    return embed_of()


@row("embed: the output is the weights", "the file of --weights")
def _():
    safetensors("r.npy", resnet10())
    return embed_of("r.npy")


@row("embed: the output is a link to the images", "the file of --images")
def _():
    safetensors("w.safetensors", resnet10())
    os.symlink("x.npy", "r.npy")
    return embed_of()


@row("embed: the output is a folder", "r.npy is a folder")
def _():
    safetensors("w.safetensors", resnet10())
    os.mkdir("r.npy")
    return embed_of()


@row("embed: the output is a pipe", "r.npy is not a regular file")
def _():
    safetensors("w.safetensors", resnet10())
    os.mkfifo("r.npy")
    return embed_of()


@row("embed: the weights are a pipe", "w.safetensors is not a regular file")
def _():
    os.mkfifo("w.safetensors")
    return embed_of()


@row("embed: the images are a pipe", "p.npy is not a regular file")
def _():
    os.mkfifo("p.npy")
    return (*embed_of(safetensors("w.safetensors", resnet10())), "--images", "p.npy")


@row("embed: weights without an architecture", "--arch")
def _():
    safetensors("w.safetensors", resnet10())
    save("x.npy", np.zeros((2, 3, 8, 8), np.uint8))
    return ("embed", "--weights", "w.safetensors", "--images", "x.npy", "--out", "r.npy", "--device", "ref")


@row("embed: images of bool", "x.npy holds bool: images are integers of 0 to 255, or floats")
def _():
    safetensors("w.safetensors", resnet10())
    return embed_of("w.safetensors", np.zeros((2, 3, 8, 8), bool))


@row("embed: integers beyond a byte", "x.npy: element [1, 0, 0, 0] is -1, not 0 to 255")
def _():
    safetensors("w.safetensors", resnet10())
    x = np.zeros((2, 3, 8, 8), np.int64)
    x[1, 0, 0, 0] = -1
    return embed_of("w.safetensors", x)


@row("embed: a double beyond a float", "x.npy: image 1 (from 0) holds infinity")
def _():
    safetensors("w.safetensors", resnet10())
    x = np.zeros((2, 3, 8, 8))
    x[1, 0, 0, 0] = 1e300
    return embed_of("w.safetensors", x)


@row("embed: images in three dimensions", "x.npy: images have 4 dimensions, (n, 3, h, w) or (n, h, w, 3); this has")
def _():
    safetensors("w.safetensors", resnet10())
    return embed_of("w.safetensors", np.zeros((3, 8, 8), np.uint8))


@row("embed: images that are not square", "--size N makes the shorter side N, and with --crop N of that the middle is kept")
def _():
    safetensors("w.safetensors", resnet10())
    return embed_of("w.safetensors", np.zeros((2, 3, 8, 12), np.uint8))


@row("embed: floats that are not square, to be resized", "x.npy: images of 8 x 12 pixels, an encoder takes square ones")
def _():
    safetensors("w.safetensors", resnet10())
    return embed_of("w.safetensors", np.zeros((2, 3, 8, 12), np.float32), "--size", "8")


@row("embed: a crop beyond the images", "x.npy: crop = 9 is more than the 8 pixels of the shorter side")
def _():
    safetensors("w.safetensors", resnet10())
    return embed_of("w.safetensors", np.zeros((2, 3, 8, 12), np.uint8), "--crop", "9")


@row("embed: a crop beyond the size", "x.npy: crop = 7 is more than the 6 pixels of the shorter side after size")
def _():
    safetensors("w.safetensors", resnet10())
    return embed_of("w.safetensors", np.zeros((2, 3, 8, 12), np.float32), "--size", "6", "--crop", "7")


@row("embed: images of two channels", "x.npy")
def _():
    safetensors("w.safetensors", resnet10())
    return embed_of("w.safetensors", np.zeros((2, 2, 8, 8), np.uint8))


@row("embed: a NaN among the images", "x.npy")
def _():
    safetensors("w.safetensors", resnet10())
    x = np.zeros((2, 3, 8, 8), np.float32)
    x[1, 0, 0, 0] = np.nan
    return embed_of("w.safetensors", x)


@row("embed: a mean of two numbers", "mean")
def _():
    safetensors("w.safetensors", resnet10())
    return embed_of("w.safetensors", None, "--mean", "0.5,0.5")


@row("embed: a normalisation of float images, which are used as they are", "--mean has no effect")
def _():
    safetensors("w.safetensors", resnet10())
    return embed_of("w.safetensors", np.zeros((2, 3, 8, 8), np.float32), "--mean", "0.5,0.5,0.5")


def own_encoder(*more):
    """embed with weights that dinf wrote."""
    own = {"format": "dinf.encoder.1", "arch": "resnet10", "stem": "cifar", "width": "0.125", "size": "8",
           "mean": "0.5,0.5,0.5", "std": "0.25,0.25,0.25", "dim": "64", "head_dim": "0", "provenance": "{}"}

    def edit(header):
        header["__metadata__"] = own
    t = resnet10()
    for norm in [name.removesuffix(".running_mean") for name in t if name.endswith(".running_mean")]:
        t[norm + ".num_batches_tracked"] = np.array(0)
    safetensors("w.safetensors", t, edit)
    save("x.npy", np.zeros((2, 3, 8, 8), np.uint8))
    return ("embed", "--weights", "w.safetensors", "--images", "x.npy", "--out", "r.npy", "--device", "ref", *more)


@row("embed: another architecture than the file's", "is a resnet10, not a resnet18")
def _():
    return own_encoder("--arch", "resnet18")


@row("embed: a crop that is not the file's size", "--crop 6: w.safetensors takes 8 x 8 pixels")
def _():
    return own_encoder("--crop", "6")


@row("embed: a size in place of the file's", "--size has no effect")
def _():
    return own_encoder("--size", "8")


@row("embed: another stem than the file's", "has stem cifar, not imagenet")
def _():
    return own_encoder("--stem", "imagenet")


@row("embed: another width than the file's", "has width 0.125, not 1")
def _():
    return own_encoder("--width", "1")


@row("embed: a pipeline for a file that has its own", "--size has no effect")
def _():
    return own_encoder("--size", "16")


@row("embed: a prefix for a file that has none", "--strip has no effect")
def _():
    return own_encoder("--strip", "module.")


@row("embed: what the file says may be said again", "2 x 64", status=0)
def _():
    return own_encoder("--arch", "resnet10", "--stem", "cifar", "--width", "0.125")


@row("embed: a width beyond its bounds", "0.015625 .. 16")
def _():
    return embed_of("w.safetensors", None, "--width", "20")


@row("embed: a folder for the output that is not there", "no/r.npy")
def _():
    safetensors("w.safetensors", resnet10())
    return tuple("no/r.npy" if w == "r.npy" else w for w in embed_of())


# ---- run directories ----

@row("status: no such folder", "none")
def _():
    return ("status", "none")


@row("status: a folder that is no run directory", "not a run directory")
def _():
    os.mkdir("d")
    return ("status", "d")


@row("status: plan.json of garbage", "plan.json")
def _():
    write("d/plan.json", "{ garbage")
    return ("status", "d")


@row("status: plan.json of other JSON", "plan.json")
def _():
    write("d/plan.json", '{"a": [1, 2]}')
    return ("status", "d")


@row("status: a torn last line of the journal is tolerated", "2 done", status=0)
def _():
    mock_run()
    with open("d/journal.jsonl", "a") as f:
        f.write('{"t":17')
    return ("status", "d")


@row("run: goes on behind a torn journal", "", status=0)
def _():
    mock_run()
    with open("d/journal.jsonl", "r+") as f:
        f.truncate(os.path.getsize("d/journal.jsonl") - 9)
    return ("run", "m.cfg", "--out", "d")


@row("status: garbage within the journal", "d/journal.jsonl: 1 damaged line is left out, the first is line 2", status=0)
def _():
    mock_run()
    lines = open("d/journal.jsonl").read().splitlines()
    lines[1] = "garbage"
    write("d/journal.jsonl", "\n".join(lines) + "\n")
    return ("status", "d")


@row("run: a directory that another run holds", "d is in use by another run: process PID on HOST")
def _():
    mock_run()
    held = open("d/lock", "r+")
    fcntl.flock(held, fcntl.LOCK_EX)
    HELD.append(held)
    return ("run", "m.cfg", "--out", "d")


@row("run: a file where the run directory should be", "d")
def _():
    write("m.cfg", MOCK)
    write("d", "a file")
    return ("run", "m.cfg", "--out", "d")


@row("run: somebody's folder", "is no run directory (it has no plan.json), but is not empty")
def _():
    write("m.cfg", MOCK)
    write("d/config.cfg", "mine")
    return ("run", "m.cfg", "--out", "d")


@row("run: a directory of another campaign", 'holds the campaign "m", which shares no task with this one')
def _():
    mock_run()
    write("m.cfg", MOCK.replace("0.001", "0.002"))
    return ("run", "m.cfg", "--out", "d")


@row("run: a directory of the same campaign with other threads", "was started with threads = 1, not 2")
def _():
    mock_run()
    return ("run", "m.cfg", "--out", "d", "--set", "campaign.threads=2")


@row("run: an empty folder is as good as none", "", status=0)
def _():
    write("m.cfg", MOCK)
    os.mkdir("d")
    return ("run", "m.cfg", "--out", "d")


@row("task: a folder that is no run directory", "not a run directory")
def _():
    os.mkdir("d")
    return ("task", "d", "a.0")


@row("task: an id that is not there", "zzz")
def _():
    mock_run()
    return ("task", "d", "zzz")


@row("task: an id of nothing", 'there is no task ""')
def _():
    mock_run()
    return ("task", "d", "")


@row("task: a directory alone", "a task")
def _():
    mock_run()
    return ("task", "d")


@row("collect: a folder that is no run directory", "not a run directory")
def _():
    os.mkdir("d")
    return ("collect", "d")


@row("collect: a result of garbage", "is damaged and left out: `dinf run` does", status=1, problems=None)
def _():
    mock_run()
    name = [n for n in sorted(os.listdir("d/tasks")) if n.endswith(".h5")][0]
    write(f"d/tasks/{name}", "garbage")
    return ("collect", "d")


@row("collect: without a directory", "run directory")
def _():
    return ("collect",)


# ---- the other commands, and the command line ----

@row("an unknown command", "did you mean 'audit'")
def _():
    return ("audti",)


@row("no command", "usage: dinf COMMAND", problems=None)
def _():
    return ()


@row("run: without a config", "config")
def _():
    return ("run",)


@row("run: two configs", "unexpected word")
def _():
    write("m.cfg", MOCK)
    return ("run", "m.cfg", "m.cfg")


@row("run: a short option", "-n")
def _():
    write("m.cfg", MOCK)
    return ("run", "m.cfg", "-n", "3")


@row("run: an unknown option", "--out")
def _():
    write("m.cfg", MOCK)
    return ("run", "m.cfg", "--uot", "d")


@row("list: what is not there", "losses")
def _():
    return ("list", "loses")


@row("bench: without a measurement", "say what to measure")
def _():
    return ("bench",)


@row("bench: an unknown measurement", "did you mean")
def _():
    return ("bench", "trian")


@row("bench: a measurement that is near none", "it is one of train, gmm, augment, mutual-information or schedule")
def _():
    return ("bench", "nosuch")


@row("bench: an unknown architecture", "resnet1")
def _():
    return ("bench", "train", "--arch", "resnet19")


@row("bench: more components than rows", "components")
def _():
    return ("bench", "gmm", "--n", "10", "--dim", "2", "--components", "20", "--device", "ref")


@row("bench: data that is missing", "none.npy")
def _():
    return ("bench", "gmm", "--data", "none.npy", "--device", "ref")


@row("bench: rows of data that are read from a file", "--n has no effect")
def _():
    return ("bench", "gmm", "--data", save("x.npy", rows_of()), "--n", "10", "--device", "ref")


@row("bench: a seed of nothing", "--seed has no effect")
def _():
    save("m.npy", rows_of(n=2))
    return ("bench", "gmm", "--data", save("x.npy", rows_of()), "--means", "m.npy", "--components", "2", "--seed", "1",
            "--device", "ref")


@row("status: lines in JSON", "--all has no effect")
def _():
    return ("status", "d", "--json", "--all")


@row("generate: a folder where a file should be", "data_batch_3.bin is a folder")
def _():
    os.makedirs("g/data_batch_3.bin")
    return ("generate", "--out", "g", "--count", "10")


@row("generate: without a folder", "--out is required")
def _():
    return ("generate",)


@row("generate: one class", "classes")
def _():
    return ("generate", "--out", "g", "--classes", "1")


@row("generate: a file where the folder should be", "g")
def _():
    write("g", "a file")
    return ("generate", "--out", "g", "--count", "10")


@row("generate: a negative seed", "seed")
def _():
    return ("generate", "--out", "g", "--seed", "-1")


# ---- the test ----

HELD = []


def listing():
    found = {}
    for folder, folders, files in os.walk("."):
        for name in folders:
            found[os.path.join(folder, name)] = None
        for name in files:
            path = os.path.join(folder, name)
            found[path] = None
            if os.path.isfile(path):  # no pipe
                with open(path, "rb") as f:
                    found[path] = f.read()
    return found


def shorten(text, folder):
    text = text.replace(os.path.realpath(folder) + "/", "").replace(folder + "/", "")
    text = re.sub(r"(?m)^\d\d:\d\d:\d\d ", "", text)
    return re.sub(r"process \d+ on \S+", "process PID on HOST", text)


def check(what, make, says, status, problems):
    """The command, what it said, and what is wrong with that."""
    wrong = []
    home = os.getcwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            words = [str(w) for w in make()]
            before = listing()
            env = {k: v for k, v in os.environ.items() if not k.startswith(("SLURM", "OMPI"))}
            done = subprocess.run([DINF, *words], capture_output=True, text=True, errors="replace",
                                  timeout=TIME_LIMIT, env=env)
            lines = shorten(done.stderr, folder).splitlines()
            said = "\n".join(lines) if status != 0 else shorten(done.stdout + done.stderr, folder)
            if done.returncode != status:
                wrong.append(f"status {done.returncode} in place of {status}")
            if says not in said:
                wrong.append(f"no '{says}'")
            if status == 2 and listing() != before:
                wrong.append(f"files changed: {sorted(set(listing().items()) ^ set(before.items()))}"[:300])
            if status == 2 and done.stdout:
                wrong.append(f"standard output: {done.stdout[:200]!r}")
            if status != 0 and problems is not None:
                if len(lines) != problems:
                    wrong.append(f"{len(lines)} lines in place of {problems}")
                for line in lines:
                    if not re.match(r"error: \S", line):
                        wrong.append(f"not 'error: ...': {line!r}")
        finally:
            os.chdir(home)
            while HELD:
                HELD.pop().close()
    return words, said, wrong


def cell(text):
    return text.replace("|", "\\|").replace("<", "&lt;").replace("\n", "<br>")


def main():
    global DINF
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dinf")
    parser.add_argument("--markdown", action="store_true", help="print the table")
    parser.add_argument("--only", default="", help="rows whose description has this word")
    options = parser.parse_args()
    DINF = os.path.abspath(options.dinf)
    failed = 0
    if options.markdown:
        print("# What bad input gets\n\nMade by `tests/e2e/bad_input.py DINF --markdown`, which is also the test.\n")
        print("| input | command | status | what dinf says |\n|---|---|---|---|")
    for what, make, says, status, problems in ROWS:
        if options.only not in what:
            continue
        words, said, wrong = check(what, make, says, status, problems)
        if options.markdown:
            said = "(goes on)" if status == 0 and not says else "\n".join(
                line.strip() for line in said.strip().splitlines() if says in line or status != 0)
            if problems is None:
                said = said.splitlines()[0] + " ..."
            command = "dinf " + " ".join(words)
            print(f"| {cell(what)} | `{command}` | {status} | {cell(said)} |")
        if wrong:
            failed += 1
            print(f"FAILED {what}: dinf {' '.join(words)}\n  {'; '.join(wrong)}\n  {said.strip()}", file=sys.stderr)
    print(f"{len(ROWS)} rows, {failed} failed", file=sys.stderr)
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
