"""What disks, copies and people do to a file."""
import glob
import os
import shutil


def _flip(path, rng):
    """One to three bits."""
    size = os.path.getsize(path)
    with open(path, "r+b") as f:
        for _ in range(rng.randint(1, 3) if size else 0):
            at = rng.randrange(size)
            f.seek(at)
            byte = f.read(1)[0]
            f.seek(at)
            f.write(bytes([byte ^ 1 << rng.randrange(8)]))


def _truncate(path, rng):
    os.truncate(path, rng.randrange(max(1, os.path.getsize(path))))


def _zero(path, rng):
    """A block, or all from somewhere on, as after a power failure."""
    size = os.path.getsize(path)
    begin = rng.randrange(max(1, size))
    end = size if rng.random() < 0.5 else min(size, begin + 512)
    with open(path, "r+b") as f:
        f.seek(begin)
        f.write(bytes(end - begin))


def _insert(path, rng):
    """Bytes that do not belong there: at the end, or at a line's beginning."""
    with open(path, "rb") as f:
        text = f.read()
    at = len(text) if rng.random() < 0.5 else text.rfind(b"\n", 0, rng.randrange(max(1, len(text)))) + 1
    with open(path, "wb") as f:
        f.write(text[:at] + rng.choice([b"garbage\n", b"\n", bytes(8) + b"\n", b"{}\n", b"\xff"]) + text[at:])


def _empty(path, rng):
    os.truncate(path, 0)


def _delete(path, rng):
    os.unlink(path)


def _exchange(path, rng):
    """Another file of the same sort in its place."""
    others = sorted(set(glob.glob(f"{glob.escape(os.path.dirname(path))}/*{os.path.splitext(path)[1]}")) - {path})
    if not others:
        return _flip(path, rng)
    other = rng.choice(others)
    shutil.copyfile(other, f"{path}~")
    shutil.copyfile(path, other)
    os.replace(f"{path}~", path)


def _folder(path, rng):
    os.unlink(path)
    os.mkdir(path)


WAYS = {"truncated": _truncate, "bits flipped": _flip, "zeroed": _zero, "with foreign bytes": _insert,
        "emptied": _empty, "deleted": _delete, "exchanged": _exchange, "a folder": _folder}


def damage(path, rng, ways=tuple(WAYS)):
    """One file, in one way; what was done."""
    way = rng.choice(ways)
    WAYS[way](path, rng)
    return f"{os.path.basename(path)} {way}"
