#!/usr/bin/python3
"""A PyTorch checkpoint (.pth, .pt, .ckpt, .bin) as safetensors, for dinf embed and a config's `weights`.

usage: to_safetensors.py IN OUT.safetensors

Tensors keep their names and types. Of a checkpoint that wraps them in state_dict, model or the like the wrapper's name
is dropped where it is the only one; others become the beginning of the names (DINO: student., teacher.). The state of
an optimiser is left out. Of a pickled model its parameters and buffers are taken. Nothing in the file is executed:
torch.load with weights_only=True, and where that does not read a file (PyTorch 1.13 stops at any float), a reader that
makes tensors and plain containers and nothing else. Wants PyTorch alone.
"""
import collections
import collections.abc
import json
import os
import pickle
import sys
import zipfile

import torch

WRAPPERS = ("state_dict", "model_state_dict", "model_state", "model", "state", "net", "network", "weights", "params")
LEFT_OUT = ("optimizer", "optim", "optimizer_state_dict", "optimizer_states", "optimizers", "lr_scheduler",
            "lr_schedulers", "scheduler", "scaler", "amp", "fp16_scaler")
TYPES = {name: getattr(torch, torch_name) for name, torch_name in (
    ("F64", "float64"), ("F32", "float32"), ("F16", "float16"), ("BF16", "bfloat16"), ("I64", "int64"),
    ("I32", "int32"), ("I16", "int16"), ("I8", "int8"), ("U8", "uint8"), ("BOOL", "bool"))}


class Unusable(Exception):
    """One sentence for the user."""


class Other:
    """Stands for what is neither a tensor nor a plain container: nothing of it is run, its state is kept as data."""
    def __new__(cls, *_, **__):
        return super().__new__(cls)

    def __init__(self, *_, **__):
        self.state = {}

    def __setstate__(self, state):
        self.state = state if isinstance(state, dict) else {}

    def __setitem__(self, key, value):
        pass

    def ignore(self, *_, **__):
        pass

    append = extend = add = update = ignore


def rebuild(storage, offset, size, stride, *_):
    return torch.as_strided(storage, tuple(size), tuple(stride), offset)


class Reader(pickle.Unpickler):
    """Makes tensors and plain containers. torch.load is no help: 1.13 forgets the pickle_module it is given."""
    known = {("collections", "OrderedDict"): collections.OrderedDict, ("torch", "Size"): torch.Size,
             ("torch._utils", "_rebuild_tensor"): rebuild, ("torch._utils", "_rebuild_tensor_v2"): rebuild,
             ("torch._utils", "_rebuild_parameter"): lambda data, *_: data,
             **{("torch", str(t).split(".")[1]): t for t in TYPES.values()}}
    storages = {"DoubleStorage": torch.float64, "FloatStorage": torch.float32, "HalfStorage": torch.float16,
                "BFloat16Storage": torch.bfloat16, "LongStorage": torch.int64, "IntStorage": torch.int32,
                "ShortStorage": torch.int16, "CharStorage": torch.int8, "ByteStorage": torch.uint8,
                "BoolStorage": torch.bool}

    def __init__(self, file, size):
        super().__init__(file, encoding="latin1")
        self.size, self.made = size, {}

    def find_class(self, module, name):
        return self.storages[name] if name in self.storages else self.known.get((module, name), Other)

    def persistent_load(self, identity):
        """A storage: its bytes come later, by fill."""
        _, dtype, key, _, n, *view = identity
        if key not in self.made:
            if not 0 <= n <= self.size:
                raise ValueError("a tensor is larger than the file")
            self.made[key] = torch.zeros(n, dtype=dtype)
        if view and view[0] is not None:
            return self.made[key][view[0][1]:view[0][1] + view[0][2]]
        return self.made[key]

    def fill(self, key, raw):
        if self.made[key].numel():
            self.made[key].view(torch.uint8).numpy()[:] = memoryview(raw)


def read_zip(file, size):
    with zipfile.ZipFile(file) as archive:
        name, = [name for name in archive.namelist() if name.endswith("/data.pkl")]
        reader = Reader(archive.open(name), size)
        loaded = reader.load()
        for key in reader.made:
            reader.fill(key, archive.read(f"{name[:-len('data.pkl')]}data/{key}"))
        return loaded


def read_legacy(file, size):
    """Of torch.save before 1.6: pickles, and behind them the storages, each with its number of elements."""
    magic, version, _ = (Reader(file, 0).load() for _ in range(3))
    if (magic, version) != (0x1950a86a20f9469cfc6c, 1001):
        raise ValueError("not in a form of torch.save's")
    reader = Reader(file, size)
    loaded = reader.load()
    for key in Reader(file, 0).load():
        n = int.from_bytes(file.read(8), "little")
        if n != reader.made[key].numel():
            raise ValueError("its tensors are not where they should be")
        reader.fill(key, file.read(n * reader.made[key].element_size()))
    return loaded


def load(path):
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except OSError as e:
        raise Unusable(f"cannot read {path}: {e.strerror or e}") from None
    except Exception:  # pickle, zip and torch have errors of their own
        pass
    try:
        with open(path, "rb") as file:
            read = read_zip if zipfile.is_zipfile(file) else read_legacy
            file.seek(0)
            return read(file, os.path.getsize(path))
    except Exception as e:
        text = str(e).strip().splitlines()
        raise Unusable(f"{path} is no checkpoint of PyTorch's: {text[0] if text else type(e).__name__}") from None


def tensors_of(value, path, out):
    """All tensors below `value`, a tree of dictionaries, by the keys that lead to them."""
    if isinstance(value, torch.Tensor):
        out[path] = value
    elif isinstance(value, Other):  # a module, if it has these
        for part in ("_parameters", "_buffers", "_modules"):
            tensors_of(value.state.get(part), path, out)
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
