#!/usr/bin/python3
"""Where two finished run directories differ: results.h5, read whole, and every weight, bit for bit.

    differences.py REFERENCE DIR        prints a line a difference; exit status 0: none
"""
import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "mpi"))
import compare  # noqa: E402


def tensors(path):
    """Name -> (type, shape, bytes); metadata say when and where, and are left out."""
    with open(path, "rb") as f:
        size = int.from_bytes(f.read(8), "little")
        header, data = json.loads(f.read(size)), f.read()
    header.pop("__metadata__", None)
    return {name: (t["dtype"], t["shape"], data[slice(*t["data_offsets"])]) for name, t in header.items()}


def weights(folder):
    return sorted(f for f in os.listdir(folder) if f.endswith(".safetensors"))


def same(path, reference):
    try:
        return tensors(path) == tensors(reference)
    except (OSError, ValueError, KeyError, TypeError):  # gone, or no safetensors file any more
        return False


def main(reference, folder):
    found = 0
    for part in ("tasks", "encoders"):
        if not os.path.isdir(f"{reference}/{part}"):
            continue
        for name in weights(f"{reference}/{part}"):
            if not same(f"{folder}/{part}/{name}", f"{reference}/{part}/{name}"):
                print(f"{part}/{name}")
                found += 1
    try:
        return 1 if compare.main(reference, folder) or found else 0
    except (OSError, RuntimeError, KeyError) as e:
        print(f"results.h5: {e}")
        return 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
