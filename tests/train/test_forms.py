"""Comparing the losses of the two forms of the 8-bit network."""

from __future__ import annotations

from pathlib import Path

import pytest

from livestyle.errors import LivestyleError
from tests.program import IDENTITY
from train.forms import compare_forms, table

pytestmark = pytest.mark.train


def test_both_forms_of_a_network_have_nearly_the_same_losses(exported: Path, images: Path, loss_network: Path) -> None:
    model = str(exported / "tiny")
    found = compare_forms([model], [images], [images], loss_network, every=6)[model]
    assert found.pairs == len(list(images.iterdir())[::6]) ** 2
    assert found.constant_pairs > 0
    for computed, constant in (found.style, found.content):
        assert constant == pytest.approx(computed, rel=0.05)
    assert f"{found.constant_pairs} of {found.pairs} at rest" in table({model: found})


def test_a_model_without_a_constant_form_is_refused(images: Path, loss_network: Path) -> None:
    with pytest.raises(LivestyleError, match="has no constant form"):
        compare_forms([str(IDENTITY)], [images], [images], loss_network, every=6)
