"""The page of memory that inject.c shares with all processes of a run."""
import errno
import mmap
import struct

FOREVER = 1 << 40
_FIELDS = ("first", "count", "error", "jump", "seen", "hits")  # struct page


class Injector:
    """Calls of the processes started with `environment` fail, from when they are told to."""

    def __init__(self, library, folder, calls):
        self.path = f"{folder}/page"
        with open(self.path, "wb") as f:
            f.write(bytes(4096))
        self._file = open(self.path, "r+b")
        self._map = mmap.mmap(self._file.fileno(), 4096)
        self.environment = {
            "LD_PRELOAD": library,
            "DINF_FAULT_PAGE": self.path,
            "DINF_FAULT_CALLS": "," + ",".join(calls) + ",",
            "DINF_FAULT_PATHS": f"{folder}/d:images.npy",
            "ASAN_OPTIONS": "verify_asan_link_order=0",
        }

    def get(self, field):
        return struct.unpack_from("<q", self._map, 8 * _FIELDS.index(field))[0]

    def set(self, **fields):
        for name, value in fields.items():
            struct.pack_into("<q", self._map, 8 * _FIELDS.index(name), value)

    def fail(self, error, first, count):
        """The calls `first` (from 1, since the start of the run) and so many after it."""
        self.set(error=error, first=first, count=count)

    def fail_now(self, error):
        """Every call from now on, until `rest`."""
        self.set(error=error, first=1, count=FOREVER)

    def rest(self):
        self.set(count=0, jump=0)


def error_name(number):
    return errno.errorcode.get(number, "short") if number else "short"
