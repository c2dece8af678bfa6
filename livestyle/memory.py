"""Memory: how much of it is free, and whether an error says that it ran out."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path

_CGROUPS = (
    ("memory.max", "memory.current", "inactive_file"),
    ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "total_inactive_file"),
)
"""Limit, use, and what of the use is cache that can go, of a container: cgroups of version 2 and 1."""
_M_ARENA_MAX = -8
"""Of glibc's malloc.h."""
_SHORT = ("bad_alloc", "insufficient memory", "cannot allocate memory", "failed to allocate", "out of memory")
"""What onnxruntime, OpenCV, FFmpeg and drivers say, in lower case."""


def free_bytes(proc: Path = Path("/proc"), cgroups: Path = Path("/sys/fs/cgroup")) -> int | None:
    """Bytes of memory that this process may still take; None where the system does not tell (it is not Linux).

    The least of what the machine has left, of the limit of its container and of the process's own (``ulimit -v``).
    """
    found: list[int] = []
    with suppress(OSError, ValueError, IndexError):
        words = (proc / "meminfo").read_text("ascii").split()
        found.append(int(words[words.index("MemAvailable:") + 1]) << 10)
    for limit, use, cache in _CGROUPS:
        with suppress(OSError, ValueError):
            most, used = (int((cgroups / name).read_text("ascii")) for name in (limit, use))
            statistics = (cgroups / limit).with_name("memory.stat").read_text("ascii").split()
            used -= int(statistics[statistics.index(cache) + 1]) if cache in statistics else 0
            found.append(most - used)
    if sys.platform == "linux":
        import resource

        with suppress(OSError, ValueError, IndexError):
            most = resource.getrlimit(resource.RLIMIT_AS)[0]
            if most != resource.RLIM_INFINITY:
                pages = int((proc / "self" / "statm").read_text("ascii").split()[0])
                found.append(most - pages * os.sysconf("SC_PAGE_SIZE"))
    return max(0, min(found)) if found else None


def limit_heaps() -> None:
    """Let all threads share two heaps (glibc's arenas), where that is the system's allocator and nobody has chosen.

    Heap fragmentation: each arena keeps the most that its threads ever needed, up to eight arenas a core, and sessions
    of onnxruntime that come and go bring new threads all the time.
    """
    if sys.platform == "linux" and "MALLOC_ARENA_MAX" not in os.environ:
        import ctypes

        # Other systems' libraries, such as musl, have no such function.
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 2)


def is_memory_error(error: BaseException | None) -> bool:
    """Whether an error, or one that it came from, says that there is not enough memory, in a library's own words."""
    for _ in range(10):
        if error is None:
            return False
        if isinstance(error, MemoryError) or any(words in str(error).lower() for words in _SHORT):
            return True
        error = error.__cause__ or error.__context__
    return False
