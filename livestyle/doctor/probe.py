"""One execution provider in a process of its own: a driver that does not fit can end or hang the whole process."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

SECONDS = 60.0
"""Time limit; CUDA takes a few seconds to start for the first time after a driver was installed."""


class Answer(NamedTuple):
    """Of a provider that started.

    Attributes:
        milliseconds: from nothing to the first result.
        text: description of the device, where the provider is a plug-in.
    """

    milliseconds: float
    text: str = ""


class ProbeError(Exception):
    """A provider that does not start, with what it said.

    Args:
        text: the reason.
        fatal: whether it ended or hung its process.
    """

    def __init__(self, text: str, fatal: bool = False) -> None:
        super().__init__(text)
        self.fatal = fatal


def run_apart(name: str) -> Answer:
    """First result of a provider of onnxruntime, or of a plug-in by the name of its device, in a process of its own.

    Raises:
        ProbeError: it does not start, computes wrong numbers, hangs, or ends the process.
    """
    command = [sys.executable, "-m", "livestyle.doctor.child", name]
    try:
        # Python looks for modules in the folder that it starts in: that of livestyle, not one with strangers' files.
        folder = Path(__file__).parents[2]
        result = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=SECONDS, cwd=folder)
    except subprocess.TimeoutExpired:
        raise ProbeError(f"it hangs: no answer in {SECONDS:g} seconds", fatal=True) from None
    with suppress(ValueError, IndexError, KeyError):
        # Drivers print lines of their own, but before this one.
        answer = json.loads(result.stdout.splitlines()[-1])
        if answer["error"]:
            raise ProbeError(answer["error"])
        return Answer(float(answer["milliseconds"]), str(answer["text"]))
    reason = f"exit code {result.returncode}"
    if result.returncode < 0:
        with suppress(ValueError):
            reason = signal.Signals(-result.returncode).name
    raise ProbeError(f"it ends the whole process ({reason})", fatal=True)
