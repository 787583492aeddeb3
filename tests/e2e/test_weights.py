#!/usr/bin/python3
"""Encoders out of checkpoints as other programs write them, against torchvision's forward pass.

usage: test_weights.py DINF

Every checkpoint is built with torch's own modules, saved by torch.save, converted by analysis/to_safetensors.py and
embedded by dinf: representations agree with those of the same weights in double precision within 1e-5 of the largest.
Exit 77 without PyTorch and torchvision.
"""
import argparse
import copy
import json
import os
import re
import subprocess
import sys
import tempfile
import unittest

try:
    import numpy as np
    import torch
    import torchvision
except ImportError as e:
    print(f"SKIP: {e}")
    sys.exit(77)

DINF = None
ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
CONVERT = os.path.join(ROOT, "analysis", "to_safetensors.py")
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(CONVERT))
import to_safetensors as tool  # noqa: E402
TOLERANCE = 1e-5
Sequential, Linear, Module = torch.nn.Sequential, torch.nn.Linear, torch.nn.Module


def resnet(seed, **more):
    """torchvision's ResNet-18 with running statistics that are not 0 and 1."""
    torch.manual_seed(seed)
    model = torchvision.models.resnet18(weights=None, **more).train()
    with torch.no_grad():
        for _ in range(3):
            model(torch.randn(8, 3, 64, 64))
    return model.eval()


def children(model, *without):
    """A Sequential of the children that are kept, as lightly's examples and SimCLR's make it."""
    return Sequential(*[m for name, m in model.named_children() if name not in without])


class Whole(Module):
    """A training's modules under the names given; buffers are tensors."""
    def __init__(self, **parts):
        super().__init__()
        for name, part in parts.items():
            self.register_buffer(name, part) if isinstance(part, torch.Tensor) else setattr(self, name, part)


def head(*widths):
    return Sequential(*[Linear(a, b) for a, b in zip(widths, widths[1:])])


class Weights(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.a, cls.b = resnet(1), resnet(2)
        cls.x = torch.randn(3, 3, 64, 64, generator=torch.Generator().manual_seed(3))

    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        np.save(self.path("x.npy"), self.x.numpy())

    def tearDown(self):
        self.folder.cleanup()

    def path(self, name):
        return os.path.join(self.folder.name, name)

    def want(self, model):
        model = copy.deepcopy(model).double()
        model.fc = torch.nn.Identity()
        with torch.no_grad():
            return model.eval()(self.x.double()).numpy()

    def convert(self, checkpoint, name="w.safetensors"):
        torch.save(checkpoint, self.path("w.pth"))
        tool.write(self.path(name), tool.state_of(tool.load(self.path("w.pth")), "w.pth"))
        return self.path(name)

    def embed(self, weights, *more, arch="resnet18"):
        if os.path.exists(self.path("r.npy")):
            os.remove(self.path("r.npy"))
        return subprocess.run([DINF, "embed", "--weights", weights, "--arch", arch, "--stem", "imagenet", "--images",
                               self.path("x.npy"), "--out", self.path("r.npy"), "--device", "cpu", *more],
                              capture_output=True, text=True)

    def same(self, checkpoint, model, *more, ignored=None):
        """dinf's representations are the model's; its line about the rest is `ignored`."""
        weights = self.convert(checkpoint)
        done = self.embed(weights, *more)
        self.assertEqual(done.returncode, 0, done.stderr)
        have, want = np.load(self.path("r.npy")), self.want(model)
        self.assertLess(np.abs(have - want).max() / np.abs(want).max(), TOLERANCE)
        lines = [line for line in done.stderr.splitlines() if "not the encoder's" in line]
        if ignored is None:
            self.assertEqual(lines, [])
        else:
            self.assertEqual(len(lines), 1, done.stderr)
            self.assertIn(ignored, lines[0])

    def refused(self, done, *says):
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertFalse(os.path.exists(self.path("r.npy")))
        for text in says:
            self.assertIn(text, done.stderr)

    def hints(self, checkpoint, *prefixes, more=()):
        """Without a prefix the file is refused, and exactly the given ones are suggested."""
        done = self.embed(self.convert(checkpoint), *more)
        self.refused(done)
        self.assertEqual(sorted(re.findall(r"--strip (\S+)", done.stderr)), sorted(prefixes), done.stderr)

    # ---- whose tensors are the encoder's ----

    def test_torchvision(self):
        self.same(self.a.state_dict(), self.a, ignored="2 tensors are not the encoder's and ignored: fc.* (2)")

    def test_data_parallel_and_compiled(self):
        for prefix in ("module.", "module._orig_mod."):
            state = {prefix + k: v for k, v in self.a.state_dict().items()}
            self.hints({"state_dict": state, "epoch": 3}, prefix)
            self.same({"state_dict": state, "epoch": 3}, self.a, "--strip", prefix, ignored=f"{prefix}fc.* (2)")

    def test_moco(self):
        queries, keys = copy.deepcopy(self.a), copy.deepcopy(self.b)
        queries.fc, keys.fc = head(512, 512, 128), head(512, 512, 128)
        whole = torch.nn.DataParallel(Whole(encoder_q=queries, encoder_k=keys, queue=torch.randn(128, 64),
                                            queue_ptr=torch.zeros(1, dtype=torch.long)))
        optimizer = torch.optim.SGD(whole.parameters(), 0.1, momentum=0.9)
        checkpoint = {"epoch": 200, "arch": "resnet18", "state_dict": whole.state_dict(),
                      "optimizer": optimizer.state_dict()}
        self.hints(checkpoint, "module.encoder_q.", "module.encoder_k.")
        self.same(checkpoint, self.a, "--strip", "module.encoder_q.",
                  ignored="130 tensors are not the encoder's and ignored: ")
        self.same(checkpoint, self.b, "--strip", "module.encoder_k.", ignored="module.encoder_q.* (124)")

    def test_simsiam(self):
        encoder = copy.deepcopy(self.a)
        encoder.fc = head(512, 512, 512)
        whole = torch.nn.DataParallel(Whole(encoder=encoder, predictor=head(512, 128, 512)))
        self.hints({"state_dict": whole.state_dict()}, "module.encoder.")
        self.same({"state_dict": whole.state_dict()}, self.a, "--strip", "module.encoder.",
                  ignored="module.predictor.* (4)")

    def test_swav(self):
        state = {k: v for k, v in self.a.state_dict().items() if not k.startswith("fc.")}
        state |= {"projection_head.0.weight": torch.randn(8, 512), "prototypes.weight": torch.randn(30, 8)}
        state = {"module." + k: v for k, v in state.items()}
        self.hints(state, "module.")
        self.same(state, self.a, "--strip", "module.", ignored="module.projection_head.* (1), module.prototypes.* (1)")

    def test_lightly_byol(self):
        """Children in a Sequential: 0 and 1 are the stem, 4 to 7 the stages."""
        whole = Whole(backbone=children(self.a, "fc"), projection_head=Whole(layers=head(512, 512, 256)),
                      backbone_momentum=children(self.b, "fc"), prediction_head=Whole(layers=head(256, 512, 256)))
        self.assertIn("backbone.4.0.conv1.weight", whole.state_dict())
        self.hints(whole.state_dict(), "backbone.", "backbone_momentum.")
        self.same(whole.state_dict(), self.a, "--strip", "backbone.", ignored="backbone_momentum.* (120)")
        self.same(whole.state_dict(), self.b, "--strip", "backbone_momentum.", ignored="backbone.* (120)")

    def test_sequential_without_pooling(self):
        """Other children are left out, other numbers are the stages'."""
        for without in (("maxpool", "fc"), ("relu", "maxpool", "fc")):
            model = children(self.a, *without)
            for prefix in ("", "f."):
                state = {prefix + k: v for k, v in model.state_dict().items()}
                self.same(state, self.a, *(("--strip", prefix) if prefix else ()))

    def test_shortcut(self):
        state = {"encoder." + k.replace("downsample", "shortcut"): v for k, v in self.a.state_dict().items()
                 if not k.startswith("fc.")}
        state |= {"head.0.weight": torch.randn(4, 4)}
        self.hints({"model": state, "epoch": 1}, "encoder.")
        self.same({"model": state, "epoch": 1}, self.a, "--strip", "encoder.", ignored="1 tensor is not the encoder's")

    def test_solo_learn(self):
        for name in ("backbone", "encoder"):
            encoder, other = copy.deepcopy(self.a), copy.deepcopy(self.b)
            encoder.fc = other.fc = torch.nn.Identity()
            whole = Whole(**{name: encoder, f"momentum_{name}": other, "projector": head(512, 64),
                             "classifier": Linear(512, 10)})
            checkpoint = {"state_dict": whole.state_dict(), "global_step": 7, "callbacks": {"x": {"score": 1.0}}}
            self.hints(checkpoint, f"{name}.", f"momentum_{name}.")
            self.same(checkpoint, self.a, "--strip", f"{name}.", ignored=f"momentum_{name}.* (120)")

    def test_dino(self):
        student = torch.nn.DataParallel(Whole(backbone=self.a, head=head(512, 64)))
        teacher = Whole(backbone=self.b, head=head(512, 64))
        checkpoint = {"student": student.state_dict(), "teacher": teacher.state_dict(), "epoch": 1}
        self.hints(checkpoint, "student.module.backbone.", "teacher.backbone.")
        self.same(checkpoint, self.b, "--strip", "teacher.backbone.", ignored="student.* (124)")

    def test_own_names(self):
        other = {"conv1": "stem_conv", "bn1": "stem_bn", "layer1": "stages.0", "layer2": "stages.1",
                 "layer3": "stages.2", "layer4": "stages.3"}
        state = {}
        for key, value in self.a.state_dict().items():
            first, rest = key.split(".", 1)
            state[f"net.{other.get(first, first)}.{rest}"] = value
        rename = ",".join(f"{theirs}={ours}" for ours, theirs in other.items())
        self.same(state, self.a, "--strip", "net.", "--rename", rename, ignored="net.fc.* (2)")
        self.refused(self.embed(self.convert(state), "--strip", "net."), "conv1.weight is missing")
        self.refused(self.embed(self.convert(state), "--strip", "net.", "--rename", "stem_conv"), "A=B")
        self.refused(self.embed(self.convert(state), "--strip", "net.", "--rename", "stem_conv=conv1,stem_bn=conv1"),
                     "net.stem_conv.weight", "net.stem_bn.weight", "would both be conv1.weight")

    # ---- their types ----

    def test_half_precision(self):
        for dtype in (torch.float16, torch.bfloat16, torch.float64):
            model = copy.deepcopy(self.a).to(dtype)
            state = {k: v.to(dtype) for k, v in model.state_dict().items()}  # counters, too
            self.same(state, model, ignored="fc.* (2)")

    def test_counters(self):
        for change in (lambda v: None, lambda v: v.int(), lambda v: v.reshape(1), lambda v: v.float().repeat(3)):
            state = {}
            for key, value in self.a.state_dict().items():
                value = change(value) if key.endswith("num_batches_tracked") else value
                if value is not None:
                    state[key] = value
            self.same(state, self.a, ignored="2 tensors are not the encoder's and ignored: fc.* (2)")

    def test_tensors_of_other_types_are_passed_over(self):
        state = dict(self.a.state_dict(), mask=torch.zeros(3, dtype=torch.bool), bytes=torch.zeros(3, dtype=torch.int8),
                     short=torch.zeros((), dtype=torch.int16))
        self.same(state, self.a, ignored="mask")

    # ---- what is refused ----

    def test_an_encoder_of_another_form(self):
        prefixed = {"module." + k: v for k, v in self.a.state_dict().items()}
        weights = self.convert(prefixed)
        done = self.embed(weights, arch="resnet34")
        self.refused(done, "module.layer1.2.conv1.weight is missing")
        self.assertNotIn("--strip", done.stderr)
        done = self.embed(weights, "--width", "0.5")
        self.refused(done, "module.conv1.weight has shape (64, 3, 7, 7) where (32, 3, 7, 7) is wanted")
        self.assertNotIn("--strip", done.stderr)
        done = self.embed(weights, "--strip", "module.", arch="resnet10")  # a smaller network
        self.refused(done, "module.layer1.1.", "belongs to nothing in this network")
        self.refused(self.embed(weights, "--strip", "modul"), "modulconv1.weight is missing; try --strip module.")
        plain = self.convert(self.a.state_dict())
        self.refused(self.embed(plain, "--strip", "module."), "module.conv1.weight is missing; try without strip")

    def test_values_that_cannot_be(self):
        for value, says in ((float("nan"), "not finite"), (-1e-3, "negative variance")):
            state = copy.deepcopy(self.a.state_dict())
            state["layer3.1.bn2.running_var"][5] = value
            self.refused(self.embed(self.convert({"m." + k: v for k, v in state.items()}), "--strip", "m."),
                         f"the tensor m.layer3.1.bn2.running_var holds", says)

    # ---- the tool ----

    def test_converted_tensors_are_the_same(self):
        types = [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16,
                 torch.int8, torch.uint8, torch.bool]
        state = {str(t): (torch.arange(6).reshape(2, 3) % 2).to(t) for t in types}
        state |= {"scalar": torch.tensor(2.5), "empty": torch.zeros(0, 3), "transposed": torch.arange(6.).reshape(2, 3).T}
        with open(self.convert({"model": {"state_dict": state}, "ema": {"x": torch.ones(1)}, "lr": 0.1}), "rb") as f:
            raw = f.read()
        length = int.from_bytes(raw[:8], "little")
        header, data = json.loads(raw[8:8 + length]), raw[8 + length:]
        self.assertEqual(sorted(header), sorted([*state, "ema.x"]))
        numpy = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "I64": "<i8", "I32": "<i4", "I16": "<i2",
                 "I8": "i1", "U8": "u1", "BOOL": "?"}
        for name, t in state.items():
            begin, end = header[name]["data_offsets"]
            got = np.frombuffer(data[begin:end], numpy[header[name]["dtype"]]).reshape(header[name]["shape"])
            if t.dtype == torch.bfloat16:  # its upper half is a float32's
                got = (got.astype("<u4") << 16).view("<f4")
            np.testing.assert_array_equal(got, t.float().numpy() if t.dtype == torch.bfloat16 else t.numpy())

    def test_nothing_is_executed(self):
        """Objects beside the tensors are passed over, whatever making them would do."""
        class Trap:
            def __reduce__(self):
                return os.mkdir, (trap,)
        trap = self.path("trap")
        whole = {"state_dict": self.a.state_dict(), "args": argparse.Namespace(lr=0.1), "lr": 0.1, "trap": Trap(),
                 "best": np.float64(0.5), "when": {"set": {1, 2}, "list": [Trap()]}}
        for legacy in (False, True):
            torch.save(whole, self.path("w.pth"), _use_new_zipfile_serialization=not legacy)
            got = tool.state_of(tool.load(self.path("w.pth")), "w.pth")
            self.assertEqual(list(got), list(self.a.state_dict()))
            self.assertTrue(all(torch.equal(got[k], v) for k, v in self.a.state_dict().items()))
            self.assertFalse(os.path.exists(trap))
        self.same(self.a, self.a, ignored="fc.* (2)")  # the model itself, pickled

    def test_what_the_tool_refuses(self):
        good = self.path("w.pth")
        torch.save({"a": torch.ones(2)}, good)
        done = subprocess.run([CONVERT, good, self.path("o.safetensors")], capture_output=True, text=True)
        self.assertEqual((done.returncode, done.stdout), (0, self.path("o.safetensors") + ": 1 tensors\n"))
        os.symlink(good, self.path("link"))
        torch.save([1, 2], self.path("list.pth"))
        with open(self.path("page.pth"), "w") as f:
            f.write("<!DOCTYPE html>")
        for source, out, says in ((good, self.path("link"), "the input"), (good, self.folder.name, "no file"),
                                  (self.path("list.pth"), self.path("o"), "no named tensors"),
                                  (self.path("page.pth"), self.path("o"), "no checkpoint"),
                                  (self.path("none.pth"), self.path("o"), "cannot read"),
                                  (good, self.path("no/folder"), "cannot write")):
            done = subprocess.run([CONVERT, source, out], capture_output=True, text=True)
            self.assertEqual(done.returncode, 2, source)
            self.assertIn(says, done.stderr)
            self.assertNotIn("Traceback", done.stderr)
            self.assertFalse(os.path.exists(self.path("o")))
        self.assertEqual(list(torch.load(good)), ["a"])

    # ---- campaigns ----

    def test_suspects_of_a_campaign(self):
        whole = {"q." + k: v for k, v in children(self.a, "fc").state_dict().items()}
        whole |= {"k." + k: v for k, v in self.b.state_dict().items()}
        self.convert(whole)
        tasks = []
        for options in ('strip = "q.";', 'strip = "q."; rename = [ ];',
                        'strip = "q."; rename = [ "0=conv1", "1=bn1", "4=layer1", "5=layer2", "6=layer3", "7=layer4" ];'):
            with open(self.path("c.cfg"), "w") as f:
                f.write('campaign = { name = "c"; seed = 1; threads = 1; device = "cpu"; };\n'
                        'encoders = ( { name = "s"; role = "suspect"; weights = "w.safetensors"; arch = "resnet18";\n'
                        f'  stem = "imagenet"; size = 64; {options} }} );\n')
            run = self.path(f"run{len(tasks)}")
            done = subprocess.run([DINF, "run", self.path("c.cfg"), "--out", run], capture_output=True, text=True)
            self.assertEqual(done.returncode, 0, done.stderr)
            files = [name for name in os.listdir(os.path.join(run, "tasks")) if name.endswith(".safetensors")]
            self.assertEqual(len(files), 1)
            tasks.append(files[0])
            with open(os.path.join(run, "plan.json")) as f:
                params, = [t["params"] for t in json.load(f)["tasks"] if t["kind"] == "import"]
            # an option that is not given is no part of the identity: older experiments keep theirs
            self.assertEqual("rename" in params, len(tasks) == 3)
            with open(os.path.join(run, "logs", files[0].replace(".safetensors", ".log"))) as f:
                self.assertIn("k.* (122)", f.read())
            done = subprocess.run([DINF, "embed", "--weights", os.path.join(run, "tasks", files[0]), "--images",
                                   self.path("x.npy"), "--out", self.path("r.npy")], capture_output=True, text=True)
            self.assertEqual(done.returncode, 0, done.stderr)
            have, want = np.load(self.path("r.npy")), self.want(self.a)
            self.assertLess(np.abs(have - want).max() / np.abs(want).max(), TOLERANCE)
        self.assertEqual(tasks[0], tasks[1])  # an empty list is none
        self.assertNotEqual(tasks[0], tasks[2])


if __name__ == "__main__":
    DINF = os.path.abspath(sys.argv.pop(1))
    unittest.main(verbosity=2)
