#!/usr/bin/python3
"""Representations of any PyTorch model as .npy, for `dinf audit`, `dinf compare` and a
config's `representations = { members = "M.npy"; heldout = "H.npy"; }`.

    from save_representations import save        # with analysis/ on the path
    model.fc = torch.nn.Identity()               # what comes before the classifier
    save(model, images, "M.npy")                 # images: (n, 3, h, w), as the model wants them

As a command: torchvision's NAME with weights from a file (or as initialised), its classifier cut off, on uint8
images (n, 3, h, w) or (n, h, w, 3) that are normalised as ImageNet's."""

import argparse

import numpy as np
import torch


@torch.no_grad()
def save(model, images, out, batch=256, device="cpu"):
    """Row i of the file `out` is float32 and of image i; images: tensor, array, or data set of tensors or (tensor, label)."""
    model = model.to(device).eval()  # batch norm must not learn from what it is shown
    rows = []
    for begin in range(0, len(images), batch):
        part = [images[i] for i in range(begin, min(begin + batch, len(images)))]
        part = torch.stack([torch.as_tensor(x[0] if isinstance(x, (tuple, list)) else x) for x in part])
        rows.append(model(part.to(device, torch.float32)).flatten(1).cpu())
    matrix = torch.cat(rows).float().numpy()
    if not np.isfinite(matrix).all():
        raise ValueError(f"row {np.argwhere(~np.isfinite(matrix))[0][0]} is not finite: nothing is written")
    np.save(out, matrix)


def normalised(images):
    """uint8 images, channels first or last, as torchvision's ImageNet models want them."""
    if images.dtype != np.uint8 or images.ndim != 4:
        raise SystemExit("save_representations.py: the images must be uint8 (n, 3, h, w) or (n, h, w, 3)")
    x = torch.from_numpy(images if images.shape[1] == 3 else np.ascontiguousarray(images.transpose(0, 3, 1, 2)))
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    return (x / 255.0 - mean[:, None, None]) / std[:, None, None]


def main():
    import torchvision

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("arch", help="resnet18, resnet50, ... of torchvision")
    parser.add_argument("images", help=".npy, uint8")
    parser.add_argument("out", help=".npy, float32 (n, d)")
    parser.add_argument("--weights", help="state dict, as torch.save writes it")
    options = parser.parse_args()
    model = getattr(torchvision.models, options.arch)()
    if options.weights:
        model.load_state_dict(torch.load(options.weights, map_location="cpu"))
    model.fc = torch.nn.Identity()
    save(model, normalised(np.load(options.images)), options.out)


if __name__ == "__main__":
    main()
