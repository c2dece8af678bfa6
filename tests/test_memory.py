"""How many heaps (arenas of glibc's malloc) threads have."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

THREADS = """if True:
    import ctypes, sys, threading
    from livestyle.memory import limit_heaps

    limit_heaps()
    met = threading.Barrier(9)

    def hold():
        held = [bytes(2000) for _ in range(100)]
        met.wait()
        met.wait()

    threads = [threading.Thread(target=hold) for _ in range(8)]
    for thread in threads:
        thread.start()
    met.wait()
    libc = ctypes.CDLL(None)
    libc.fopen.restype = ctypes.c_void_p
    file = ctypes.c_void_p(libc.fopen(sys.argv[1].encode(), b"w"))
    libc.malloc_info(0, file)
    libc.fclose(file)
    met.wait()
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other allocators have no arenas")
@pytest.mark.parametrize(("chosen", "heaps"), [(None, 2), ("4", 4)])
def test_threads_share_two_heaps_unless_somebody_has_chosen(tmp_path: Path, chosen: str | None, heaps: int) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "MALLOC_ARENA_MAX"}
    if chosen is not None:
        environment["MALLOC_ARENA_MAX"] = chosen
    found = tmp_path / "malloc.xml"
    line = [sys.executable, "-c", THREADS, str(found)]
    subprocess.run(line, check=True, env=environment, cwd=Path(__file__).parents[1])
    assert found.read_text().count("<heap nr=") == heaps
