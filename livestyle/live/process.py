"""The process of the live program: what it prints, and the signals that end it."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from livestyle.text import escaped


def tell(text: str) -> None:
    """Print a line on stderr."""
    # What is told must not end the painting: the terminal may be gone, or the disk of the log be full.
    with suppress(OSError, ValueError):
        if sys.stderr is not None:
            print(escaped(text), file=sys.stderr, flush=True)


@contextmanager
def interrupted_by_signals() -> Iterator[None]:
    """One of SIGINT, SIGTERM and SIGHUP interrupts the body; further ones do not keep it from completing its files."""
    interrupted = False

    def interrupt(*_: object) -> None:
        nonlocal interrupted
        if not interrupted:
            interrupted = True
            raise KeyboardInterrupt

    numbers = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
    if threading.current_thread() is not threading.main_thread():
        # Only the main thread can handle signals.
        numbers = []
    # An ignored one stays ignored, as SIGHUP under nohup.
    before = {n: signal.signal(n, interrupt) for n in numbers if signal.getsignal(n) is not signal.SIG_IGN}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
