"""ResNets of any depth and width in PyTorch, from torchvision's own blocks, and
safetensors files written by hand: the independent side of the comparisons."""
import json
import struct

import numpy as np
import torch
import torchvision.models.resnet as tv

BLOCKS = {
    "resnet8": (tv.BasicBlock, [1, 1, 1]),
    "resnet10": (tv.BasicBlock, [1, 1, 1, 1]),
    "resnet12": (tv.BasicBlock, [2, 1, 1, 1]),
    "resnet14": (tv.BasicBlock, [2, 2, 1, 1]),
    "resnet16": (tv.BasicBlock, [2, 2, 2, 1]),
    "resnet18": (tv.BasicBlock, [2, 2, 2, 2]),
    "resnet26": (tv.Bottleneck, [2, 2, 2, 2]),
    "resnet34": (tv.BasicBlock, [3, 4, 6, 3]),
    "resnet50": (tv.Bottleneck, [3, 4, 6, 3]),
    "resnet101": (tv.Bottleneck, [3, 4, 23, 3]),
}



class Encoder(torch.nn.Module):
    def __init__(self, arch, stem, width, head_dim=0):
        super().__init__()
        block, depths = BLOCKS[arch]
        self.stem = stem
        first = round(64 * width)
        if stem == "imagenet":
            self.conv1 = torch.nn.Conv2d(3, first, 7, 2, 3, bias=False)
        else:
            self.conv1 = torch.nn.Conv2d(3, first, 3, 1, 1, bias=False)
        self.bn1 = torch.nn.BatchNorm2d(first)
        c = first
        self.stages = len(depths)
        for i, depth in enumerate(depths):
            planes, blocks = round((64 << i) * width), []
            for j in range(depth):
                stride = 2 if i > 0 and j == 0 else 1
                down = None
                if stride != 1 or c != planes * block.expansion:
                    down = torch.nn.Sequential(tv.conv1x1(c, planes * block.expansion, stride),
                                               torch.nn.BatchNorm2d(planes * block.expansion))
                blocks.append(block(c, planes, stride, down))
                c = planes * block.expansion
            setattr(self, f"layer{i + 1}", torch.nn.Sequential(*blocks))
        if head_dim:
            self.projector = torch.nn.Sequential(torch.nn.Linear(c, c), torch.nn.ReLU(), torch.nn.Linear(c, head_dim))

    def represent(self, x):
        x = torch.relu(self.bn1(self.conv1(x)))
        if self.stem == "imagenet":
            x = torch.nn.functional.max_pool2d(x, 3, 2, 1)
        for i in range(self.stages):
            x = getattr(self, f"layer{i + 1}")(x)
        return x.mean((2, 3))

    def forward(self, x):
        z = self.represent(x)
        return self.projector(z) if hasattr(self, "projector") else z


def write_safetensors(path, tensors, metadata=None):
    """tensors: name -> numpy array (float32, float64, int64, uint8)."""
    codes = {"float32": "F32", "float64": "F64", "int64": "I64", "uint8": "U8"}
    header, data, at = {}, [], 0
    if metadata:
        header["__metadata__"] = metadata
    for name, a in sorted(tensors.items(), key=lambda item: -item[1].dtype.itemsize):
        raw = np.ascontiguousarray(a).tobytes()
        header[name] = {"dtype": codes[a.dtype.name], "shape": list(a.shape), "data_offsets": [at, at + len(raw)]}
        data.append(raw)
        at += len(raw)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + b"".join(data))


def read_safetensors(path):
    types = {"F32": np.float32, "F64": np.float64, "I64": np.int64, "U8": np.uint8}
    raw = open(path, "rb").read()
    n, = struct.unpack("<Q", raw[:8])
    header = json.loads(raw[8:8 + n])
    metadata = header.pop("__metadata__", {})
    out = {}
    for name, t in header.items():
        a, b = t["data_offsets"]
        out[name] = np.frombuffer(raw[8 + n + a:8 + n + b], types[t["dtype"]]).reshape(t["shape"])
    return out, metadata
