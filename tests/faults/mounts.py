"""File systems of this process and its children alone: they are gone when these are, whatever ends them."""
import ctypes
import os

_NEWNS, _NEWUSER = 0x00020000, 0x10000000
_RDONLY, _REMOUNT, _BIND, _REC, _PRIVATE = 1, 32, 4096, 16384, 1 << 18
_libc = ctypes.CDLL(None, use_errno=True)


class Refused(Exception):
    """This user or this container may not mount."""


def _call(rc, what):
    if rc != 0:
        raise Refused(f"{what}: {os.strerror(ctypes.get_errno())}")


def _mount(source, target, kind, flags, options):
    text = [s.encode() if s else None for s in (source, target, kind)]
    _call(_libc.mount(*text, ctypes.c_ulong(flags), options.encode() if options else None), "mount")


def own():
    """From here on this process has mounts of its own."""
    if os.getuid() == 0:
        _call(_libc.unshare(_NEWNS), "unshare")
    else:
        user, group = os.getuid(), os.getgid()
        _call(_libc.unshare(_NEWNS | _NEWUSER), "unshare")
        for name, text in (("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1")):
            with open(f"/proc/self/{name}", "w") as f:
                f.write(text)
    _mount(None, "/", None, _REC | _PRIVATE, None)


def small(folder, size):
    """A file system of so many bytes on `folder`."""
    _mount("tmpfs", folder, "tmpfs", 0, f"size={size}")


def grow(folder):
    _mount(None, folder, None, _REMOUNT, "size=1g")


def read_only(folder):
    _mount(folder, folder, None, _BIND, None)
    _mount(None, folder, None, _REMOUNT | _BIND | _RDONLY, None)


def writable(folder):
    _mount(None, folder, None, _REMOUNT | _BIND, None)
