"""The style behind a mask's foreground, as a text names it."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from livestyle import StyleLibrary
from livestyle.errors import StyleError
from livestyle.styles.regions import find_background


def test_a_background_is_one_style_or_the_original(library: StyleLibrary, tmp_path: Path) -> None:
    assert find_background("moss", library.find) is library["moss"]
    assert find_background("original", library.find) is None
    assert find_background(None, library.find) is None
    for name in ("a.png", "b.png"):
        cv2.imwrite(str(tmp_path / name), np.full((70, 70, 3), 9, np.uint8))
    with pytest.raises(StyleError, match="is a folder: name one style for the background"):
        find_background(str(tmp_path), library.find)
