"""The process of the program: its standard streams, which may be closed, full or gone, and the signals that end it."""

from __future__ import annotations

import errno
import io
import os
import select
import signal
import stat
import sys
from collections.abc import Iterable
from typing import Any, TextIO

PAINTING = ("demo", "image", "video", "web", "webcam")
"""Verbs that are there for what they paint: the text that they print may be lost."""

PATIENCE_SECONDS = 1.0
"""How long a message waits for its reader."""
PIECE = 1000
"""Characters that fit into a pipe that says that it takes some (``PIPE_BUF``, 4096 bytes)."""


class TolerantStream:
    """Text stream that keeps its first error instead of raising it: a full disk or a reader that went away.

    What is told to people must not end what they asked for, and rich, Typer and logging all write to `sys.stderr`.

    Args:
        stream: that is written to; all but writing goes to it.
        patience: seconds to wait for a reader that takes nothing, such as a pager or a terminal that was stopped with
            Ctrl+S; after that, text is left out until it takes some again. None waits for ever.
    """

    def __init__(self, stream: TextIO, patience: float | None = None) -> None:
        self._stream = stream
        self._patience = self._left = patience
        self.error: OSError | None = None

    def write(self, text: str) -> int:
        try:
            if self._patience is None:
                return self._stream.write(text)
            for begin in range(0, len(text), PIECE):
                if not self._is_taken():
                    break
                self._stream.write(text[begin : begin + PIECE])
                self._stream.flush()
        except OSError as error:
            self.error = self.error or error
        return len(text)

    def _is_taken(self) -> bool:
        """Whether a piece can be written without waiting for longer than the patience that is left."""
        try:
            taken = bool(select.select([], [self._stream.fileno()], [], self._left)[1])
        except (OSError, ValueError):
            # Windows asks sockets alone.
            return True
        self._left = self._patience if taken else 0.0
        return taken

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError as error:
            self.error = self.error or error

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def prepare_streams() -> None:
    """Make the standard streams safe to write to.

    A closed one gets the null device: the next file that is opened would have its number otherwise, and libraries
    would write their messages into that file. `sys.stderr` is never None, since ``print`` would then take `sys.stdout`.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            _to_null(number)
    if sys.stdout is not None:
        if isinstance(sys.stdout, io.TextIOWrapper):
            # Names of files and styles are anything, and some terminals are ASCII.
            sys.stdout.reconfigure(errors="backslashreplace")
        sys.stdout = TolerantStream(sys.stdout)
    # It is never closed: Python writes to it until the very end.
    stderr = sys.stderr or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123
    sys.stderr = TolerantStream(stderr, PATIENCE_SECONDS)


def silence_in_video() -> None:
    """Silence standard error where it is the very file or pipe of standard output, to which a video goes."""
    if not isinstance(sys.stderr, TolerantStream):
        return
    out, err = os.fstat(1), os.fstat(2)
    if os.path.samestat(out, err) and not stat.S_ISCHR(out.st_mode):
        _to_null(2)


def finish_streams(code: int, arguments: list[str]) -> int:
    """Exit code of the program, which is 1 where a text that a script has asked for could not be printed.

    Args:
        code: without that.
        arguments: of the command line.
    """
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    verb = next((word for word in arguments if not word.startswith("-")), None)
    failure = "it is closed" if sys.stdout is None else _reason(getattr(sys.stdout, "error", None))
    is_asked_for = verb not in PAINTING or not {"--json", "--help", "-h"}.isdisjoint(arguments)
    if code == 0 and failure and is_asked_for:
        print(f"error: cannot write to standard output: {failure}", file=sys.stderr, flush=True)
        code = 1
    for number, stream in ((1, sys.stdout), (2, sys.stderr)):
        if getattr(stream, "error", None) is not None:
            # Python would fail once more to write what is left in its buffers.
            _to_null(number)
    return code


def _reason(error: OSError | None) -> str:
    if error is not None and error.errno == errno.EPIPE:
        return "its reader has gone"
    return "" if error is None else error.strerror or str(error)


def _to_null(number: int) -> None:
    null = os.open(os.devnull, os.O_RDWR)
    if null != number:
        os.dup2(null, number)
        os.close(null)
    os.set_inheritable(number, True)


def raise_on_signals() -> None:
    """Let SIGINT, SIGTERM, SIGHUP and Windows' SIGBREAK raise `KeyboardInterrupt`, so that nothing half-finished stays.

    While one is being handled, further ones are ignored: wrappers send them twice, people press the keys again, and
    what cleans up is not to be interrupted. An ignored one stays ignored, as SIGHUP under nohup. SIGQUIT ends at once,
    as SIGKILL does.
    """
    for number in _signals():
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _interrupt)


def ignore_signals() -> None:
    """Ignore what `raise_on_signals` has made raise: all is done, and Python only ends."""
    for number in _signals():
        signal.signal(number, signal.SIG_IGN)


def _signals() -> list[int]:
    return [getattr(signal, n) for n in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK") if hasattr(signal, n)]


def _interrupt(*_: object) -> None:
    handled = sys.exc_info()[1]
    while handled is not None:
        if isinstance(handled, KeyboardInterrupt):
            return
        handled = handled.__context__
    raise KeyboardInterrupt
