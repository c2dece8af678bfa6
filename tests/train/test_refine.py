"""Refinement of style statistics against the losses."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import train.refine
from livestyle.errors import LivestyleError
from livestyle.media.images import read_image
from train.refine import Effort, Refiner

pytestmark = pytest.mark.train


QUICK = Effort(crop=64, steps=12, trained=8, held_out=4)


@pytest.mark.parametrize("own", [True, False], ids=["own photographs", "the bundled clip"])
def test_refined_statistics_have_the_lower_loss_on_pictures_they_were_not_refined_on(
    exported: Path, images: Path, loss_network: Path, own: bool
) -> None:
    refiner = Refiner(exported / "tiny", loss_network, [images] if own else [], "cpu", QUICK)
    shares: list[float] = []
    found = refiner.refine(255 - read_image(exported / "image.png"), shares.append)
    weight = train.refine.STYLE_WEIGHT
    assert weight * found.style[1] + found.content[1] < weight * found.style[0] + found.content[0]
    assert shares == sorted(shares)
    assert shares[-1] == 1
    assert found.values.shape == (2 * sum(refiner.model.site_channels),)
    # Deviations stay positive.
    assert (refiner._parts(torch.from_numpy(found.values))[1] > 0).all()


def test_statistics_that_became_worse_are_not_taken(
    exported: Path, images: Path, loss_network: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train.refine, "LEARNING_RATE", 30.0)
    found = Refiner(exported / "tiny", loss_network, [images], "cpu", QUICK).refine(read_image(exported / "image.png"))
    assert found.style[0] == found.style[1]
    assert np.isfinite(found.values).all()


def test_the_content_is_kept_whatever_the_style_would_gain(
    exported: Path, images: Path, loss_network: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = 255 - read_image(exported / "image.png")
    free = {"MOST_CONTENT": 100.0, "STYLE_WEIGHT": 100.0}
    for name, value in free.items():
        monkeypatch.setattr(train.refine, name, value)
    refiner = Refiner(exported / "tiny", loss_network, [images], "cpu", QUICK)
    unlimited = refiner.refine(image)
    least = 1 + (unlimited.content[1] / unlimited.content[0] - 1) / 3
    assert least > 1
    monkeypatch.setattr(train.refine, "MOST_CONTENT", least)
    limited = refiner.refine(image)
    assert limited.content[1] <= least * limited.content[0]
    assert unlimited.style[1] < limited.style[1] < limited.style[0]


def test_the_time_ends_refining_too(exported: Path, images: Path, loss_network: Path) -> None:
    shares: list[float] = []
    effort = replace(QUICK, seconds=1e-6)
    Refiner(exported / "tiny", loss_network, [images], "cpu", effort).refine(
        read_image(exported / "image.png"), shares.append
    )
    assert shares == [1.0]


def test_a_folder_without_a_checkpoint_is_refused(tmp_path: Path, loss_network: Path) -> None:
    with pytest.raises(LivestyleError, match="there is no checkpoint"):
        Refiner(tmp_path, loss_network)
