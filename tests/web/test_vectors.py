"""The vectors that the browser's code is tested with are those of this stabiliser."""

from __future__ import annotations

from tests.web.make_vectors import VECTORS, text


def test_the_vectors_are_up_to_date() -> None:
    assert VECTORS.read_text(encoding="utf-8") == text(), "run python -m tests.web.make_vectors"
