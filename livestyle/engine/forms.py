"""Speedup of the network's fast form over the computed one, measured once on each machine and remembered.

The fast form is the constant one of the 8-bit network on the CPU, and a CUDA graph on a GPU.

The constant form is faster on most CPUs, but not where the computed one runs on matrix units that the direct
convolution does not use (AMX). So both are timed in turns, on frames of noise, and the result is kept in the cache
folder by CPU, number of threads or GPU, version of onnxruntime and network.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from time import perf_counter

from livestyle.files import atomic_write, read_json

ROUNDS = 7
"""Least number of timed runs of each form, after one that is not counted."""
MAX_ROUNDS = 40
MOST_SPEEDUP = 100.0
"""Upper limit of a remembered speedup: what is kept beyond it was not measured."""
SECONDS = 0.7
"""Duration of the timed runs: on a busy machine some fall into a quiet moment."""


def form_cache() -> Path:
    """File of the remembered choices: in ``LIVESTYLE_CACHE``, or in the user's cache folder of this system."""
    from platformdirs import user_cache_path

    chosen = os.environ.get("LIVESTYLE_CACHE")
    return (Path(chosen) if chosen else user_cache_path("livestyle", appauthor=False)) / "forms.json"


def form_key(network_checksum: str, place: str) -> str:
    """Key of a choice: what the speeds of the two forms depend on.

    Args:
        network_checksum: of the network's file.
        place: where it runs: the number of threads, or the GPU and its driver.
    """
    import onnxruntime as ort

    return f"{cpu_name()}, {place}, onnxruntime {ort.__version__}, {network_checksum[:16]}"


def cpu_name() -> str:
    """Name of the CPU as the system gives it."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def remembered_speedup(key: str) -> float | None:
    """Speedup of the fast form as it was measured earlier; None where it was not."""
    try:
        found = float(read_json(form_cache())[key])
    except (OSError, ValueError, KeyError, TypeError, IndexError, OverflowError):
        return None
    return found if 0 < found < MOST_SPEEDUP else None


def remember_speedup(key: str, speedup: float) -> None:
    """Keep a measurement; a cache folder that cannot be written costs the next start a second and nothing else."""
    path = form_cache()
    with suppress(OSError):
        try:
            known = read_json(path)
        except (OSError, ValueError):
            known = {}
        if not isinstance(known, dict):
            known = {}
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as file:
            file.write(json.dumps(known | {key: round(speedup, 3)}, indent=1).encode())


def measured_speedup(computed: Callable[[], object], fast: Callable[[], object]) -> float:
    """Speedup of ``fast`` over ``computed``: ratio of the shortest times of runs in turns.

    The shortest, since other programs only ever add to a time, and what is found here is kept.
    """
    times: dict[int, list[float]] = {0: [], 1: []}
    start = perf_counter()
    while len(times[1]) <= ROUNDS or (perf_counter() - start < SECONDS and len(times[1]) < MAX_ROUNDS):
        for which, run in enumerate((computed, fast)):
            begin = perf_counter()
            run()
            times[which].append(perf_counter() - begin)
    return min(times[0][1:]) / min(times[1][1:])
