#!/usr/bin/python3
"""analysis/save_representations.py against torchvision's own forward pass. Exit 77 without torchvision."""

import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

try:
    import numpy as np
    import torch
    import torchvision
    import torchvision.transforms.functional as transforms
except ImportError as e:
    print(f"SKIP: {e}")
    sys.exit(77)

SCRIPT = pathlib.Path(__file__).resolve().parent.parent.parent / "analysis" / "save_representations.py"
sys.path.insert(0, str(SCRIPT.parent))

from save_representations import save  # noqa: E402


class SaveRepresentations(unittest.TestCase):
    def setUp(self):
        torch.manual_seed(0)
        torch.set_num_threads(1)
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.out = os.path.join(self.folder.name, "r.npy")
        self.pixels = np.random.default_rng(0).integers(0, 256, (7, 3, 32, 32), dtype=np.uint8)
        self.model = torchvision.models.resnet18()
        with torch.no_grad():
            self.model.train()(torch.randn(8, 3, 32, 32))  # running statistics of its own
        mean, std = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
        self.images = torch.stack([transforms.normalize(torch.tensor(x) / 255, mean, std) for x in self.pixels])
        hidden = []
        hook = self.model.avgpool.register_forward_hook(lambda m, i, out: hidden.append(out.flatten(1)))
        with torch.no_grad():
            self.model.eval()(self.images)
        hook.remove()
        self.want = hidden[0].numpy()

    def check(self):
        have = np.load(self.out)
        self.assertEqual((have.dtype, have.shape), (np.float32, (7, 512)))
        np.testing.assert_allclose(have, self.want, rtol=0, atol=1e-5 * np.abs(self.want).max())

    def test_function(self):
        self.model.fc = torch.nn.Identity()
        pairs = [(x, 0) for x in self.images]
        for images, batch in ((self.images, 256), (self.images, 3), (pairs, 2), (self.images.numpy(), 7)):
            self.model.train()
            save(self.model, images, self.out, batch=batch)
            self.check()
            os.remove(self.out)

    def test_not_finite(self):
        self.model.fc = torch.nn.Identity()
        self.images[4, 0, 0, 0] = float("nan")
        with self.assertRaisesRegex(ValueError, "row 4 is not finite"):
            save(self.model, self.images, self.out)
        self.assertFalse(os.path.exists(self.out))

    def test_command(self):
        images, state = (os.path.join(self.folder.name, name) for name in ("x.npy", "w.pt"))
        torch.save(self.model.state_dict(), state)
        for pixels in (self.pixels, self.pixels.transpose(0, 2, 3, 1)):
            np.save(images, pixels)
            subprocess.run([sys.executable, SCRIPT, "resnet18", images, self.out, "--weights", state], check=True)
            self.check()
            os.remove(self.out)


if __name__ == "__main__":
    unittest.main()
