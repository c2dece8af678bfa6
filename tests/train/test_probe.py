"""Probes: runs compared on the same pairs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from train.__main__ import main
from train.probe import ratio

pytestmark = pytest.mark.train


def test_runs_are_compared_with_the_first_on_the_same_pairs(
    trained: Path, images: Path, loss_network: Path, tmp_path: Path
) -> None:
    paths = ["--content-path", str(images), "--style-path", str(images), "--vgg-weights", str(loss_network)]
    command = ["probe", str(trained), str(trained / "stage-1-frame.pt"), *paths]
    assert main([*command, "--every", "8", "--side", "64", "-o", str(tmp_path)]) == 0
    first, second = json.loads((tmp_path / "probes.json").read_text()).values()
    assert first["style_ratio"] == [1, 1, 1]
    assert second["style_ratio"][0] == pytest.approx(second["style"] / first["style"])
    assert (first["arch"], first["iterations"], second["iterations"]) == ("tiny", 6, 2)
    assert (tmp_path / "probes.md").read_text().count("\n") == 4


def test_the_interval_of_a_ratio_holds_it_and_is_wide_where_styles_disagree() -> None:
    random = np.random.default_rng(1)
    reference = random.uniform(1, 2, (6, 8))
    close, low, high = ratio(reference * 0.9, reference)
    assert (close, low, high) == pytest.approx((0.9, 0.9, 0.9))
    middle, low, high = ratio(reference * np.where(np.arange(8) % 2, 0.5, 1.5), reference)
    assert low < 0.9 < middle < 1.1 < high
