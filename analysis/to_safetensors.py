#!/usr/bin/python3
"""A PyTorch checkpoint (.pth, .pt, .ckpt, .bin) as safetensors, for dinf embed and a config's `weights`.

usage: to_safetensors.py IN OUT.safetensors

Tensors keep their names and types. Of a checkpoint that wraps them in state_dict, model or the like the wrapper's name
is dropped where it is the only one; others become the beginning of the names (DINO: student., teacher.). The state of
an optimiser is left out. Nothing in the file is executed (torch.load with weights_only=True). Wants PyTorch alone.
"""
import argparse
import collections.abc
import json
import os
import sys

import torch

WRAPPERS = ("state_dict", "model_state_dict", "model_state", "model", "state", "net", "network", "weights", "params")
LEFT_OUT = ("optimizer", "optim", "optimizer_state_dict", "optimizer_states", "optimizers", "lr_scheduler",
            "lr_schedulers", "scheduler", "scaler", "amp", "fp16_scaler")
TYPES = {name: getattr(torch, torch_name) for name, torch_name in (
    ("F64", "float64"), ("F32", "float32"), ("F16", "float16"), ("BF16", "bfloat16"), ("I64", "int64"),
    ("I32", "int32"), ("I16", "int16"), ("I8", "int8"), ("U8", "uint8"), ("BOOL", "bool"))}


class Unusable(Exception):
    """One sentence for the user."""


def load(path):
    if hasattr(torch.serialization, "add_safe_globals"):  # options that a script kept: plain data
        torch.serialization.add_safe_globals([argparse.Namespace])
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except OSError as e:
        raise Unusable(f"cannot read {path}: {e.strerror or e}") from None
    except Exception as e:  # pickle, zip and torch have errors of their own
        raise Unusable(f"{path} is no checkpoint that can be loaded without running code from it: "
                       f"{str(e).strip().splitlines()[0] if str(e).strip() else type(e).__name__}. Where you trust it: "
                       "torch.save(torch.load(IN, weights_only=False)['state_dict'], OUT), then again") from None


def tensors_of(value, path, out):
    """All tensors below `value`, a tree of dictionaries, by the keys that lead to them."""
    if isinstance(value, torch.Tensor):
        out[path] = value
    elif isinstance(value, collections.abc.Mapping):
        for key, item in value.items():
            if path or str(key) not in LEFT_OUT:
                tensors_of(item, (*path, str(key)), out)


def state_of(loaded, source):
    found = {}
    tensors_of(loaded, (), found)
    if not found or () in found:
        raise Unusable(f"{source} holds no named tensors")
    while len(wrappers := {path[0] for path in found if len(path) > 1 and path[0] in WRAPPERS}) == 1:
        inner = {path[1:] if len(path) > 1 and path[0] in wrappers else path: t for path, t in found.items()}
        if len(inner) < len(found):
            break  # two would have one name
        found = inner
    return {".".join(path): t for path, t in found.items()}


def raw_bytes(tensor):
    flat = tensor.detach().contiguous().reshape(-1)
    return flat.view(torch.uint8).numpy().tobytes() if flat.numel() else b""


def write(path, tensors):
    names = {torch_type: name for name, torch_type in TYPES.items()}
    left = [name for name, t in tensors.items() if t.dtype not in names or t.layout != torch.strided or t.is_quantized]
    if left:
        print(f"left out, of a type that has no place here: {', '.join(left)}", file=sys.stderr)
    kept = sorted((name for name in tensors if name not in left), key=lambda name: -tensors[name].element_size())
    header, at = {}, 0
    for name in kept:
        t = tensors[name]
        end = at + t.numel() * t.element_size()
        header[name] = {"dtype": names[t.dtype], "shape": list(t.shape), "data_offsets": [at, end]}
        at = end
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    temporary = f"{path}.tmp.{os.getpid()}"
    try:
        with open(temporary, "wb") as f:
            f.write(len(text).to_bytes(8, "little") + text)
            for name in kept:
                f.write(raw_bytes(tensors[name]))
            f.flush()
            os.fsync(f.fileno())
        os.replace(temporary, path)
    except OSError as e:
        raise Unusable(f"cannot write {path}: {e.strerror or e}") from None
    finally:
        if os.path.exists(temporary):
            os.remove(temporary)
    return len(kept)


def main(words):
    if "--help" in words or "-h" in words:
        print(__doc__.strip())
        return 0
    if len(words) != 2 or words[0].startswith("-") or words[1].startswith("-"):
        print("usage: to_safetensors.py IN OUT.safetensors", file=sys.stderr)
        return 2
    source, out = words[0], os.path.realpath(words[1])
    try:
        if os.path.exists(out) and (not os.path.isfile(out) or os.path.samefile(source, out)):
            raise Unusable(f"{words[1]} is {'the input' if os.path.isfile(out) else 'no file'} and is not overwritten")
        n = write(out, state_of(load(source), source))
    except (Unusable, OSError) as e:
        print(f"error: {e}", file=sys.stderr)
        return 2
    print(f"{words[1]}: {n} tensors")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
