"""The machine that a bench runs on: its processor, how busy it is, and the peak memory of a process."""

from __future__ import annotations

import os
import platform
import re
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from livestyle.engine.devices import default_threads

INSTRUCTIONS = ("avx2", "avx512f", "avx_vnni", "avx512_vnni", "amx_int8", "asimddp", "i8mm", "sve")
"""Instruction sets that decide how fast networks run: vectors, 8-bit dot products, matrix units."""


@dataclass(frozen=True)
class Machine:
    """Description of a machine.

    Attributes:
        cpu: name of the processor.
        instructions: those of `INSTRUCTIONS` that it has; empty where the system does not tell.
        cores: number of logical cores that this process may use.
        system: operating system and architecture.
        load: runnable processes before the run, mean of the last minute; None where the system does not tell. Above
            half a core, other programs slow the figures down.
    """

    cpu: str
    instructions: tuple[str, ...]
    cores: int
    system: str
    load: float | None

    @property
    def text(self) -> str:
        """Description for people, one line."""
        instructions = f" ({', '.join(self.instructions)})" if self.instructions else ""
        return f"{self.cpu}{instructions}, {self.cores} core{'s' if self.cores != 1 else ''}, {self.system}"

    @property
    def is_busy(self) -> bool:
        """Whether other programs were running."""
        return (self.load or 0.0) > 0.5


def this_machine() -> Machine:
    """Description of this machine."""
    text = ""
    with suppress(OSError):
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    names = re.search(r"^(?:model name|Model)\s*:\s*(.+)$", text, re.MULTILINE)
    flags = re.search(r"^(?:flags|Features)\s*:\s*(.+)$", text, re.MULTILINE)
    found = set(flags[1].split()) if flags else set()
    return Machine(
        cpu=" ".join(names[1].split()) if names else platform.processor() or platform.machine() or "unknown",
        instructions=tuple(name for name in INSTRUCTIONS if name in found),
        cores=default_threads(),
        system=f"{platform.system()} {platform.machine()}",
        load=round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
    )


def peak_memory() -> float | None:
    """Largest resident memory of this process so far, in MiB; None where the system does not tell."""
    # Not getrusage on Linux: its maximum survives fork and exec, so that a child would inherit its parent's.
    with suppress(OSError):
        peak = re.search(r"^VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text(encoding="ascii"), re.MULTILINE)
        if peak:
            return int(peak[1]) / 1024
    if sys.platform == "darwin":
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return None
