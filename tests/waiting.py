"""Waiting for a condition, on loaded machines."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

import pytest

PATIENCE = 60.0
"""Seconds until a condition counts as never coming true."""

T = TypeVar("T")


def wait_for(condition: Callable[[], T], what: str, patience: float = PATIENCE) -> T:
    """What ``condition`` gives as soon as it is true; it is not called again, since a call may change its answer."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        if value := condition():
            return value
        time.sleep(0.02)
    pytest.fail(f"waited {patience:.0f} s in vain: {what}")
