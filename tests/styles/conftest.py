"""The styles of the small model: none of these tests is about the painting."""

from __future__ import annotations

import pytest

from livestyle import StyleLibrary


@pytest.fixture
def library(identity_library: StyleLibrary) -> StyleLibrary:
    """A style library with an empty cache."""
    return identity_library
