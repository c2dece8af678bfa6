"""The variants of the losses, and the options that choose them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from train.losses import LossWeights, content_loss, normalized_features, style_balance
from train.options import TrainingOptions
from train.trainer import Trainer
from train.vgg import TAPS

pytestmark = pytest.mark.train


def test_a_style_twice_as_strong_weighs_as_much_where_styles_are_balanced() -> None:
    statistics = torch.rand(1, 2 * 4 * len(TAPS), generator=torch.Generator().manual_seed(1))
    one, two = style_balance(torch.cat([statistics, 2 * statistics]), [4] * len(TAPS))
    assert two == pytest.approx(4 * one)


def test_normalised_content_does_not_see_scale_and_shift_of_channels() -> None:
    generator = torch.Generator().manual_seed(1)
    features = torch.randn(2, 8, 16, 16, generator=generator)
    changed = features * (1 + torch.rand(2, 8, 1, 1, generator=generator)) + 3
    assert content_loss(changed, features).min() > 1
    assert content_loss(normalized_features(changed), normalized_features(features)).max() < 0.02


@pytest.mark.parametrize(
    "changed",
    [{"style_octaves": 3}, {"balanced_style": True}, {"normalized_content": True}, {"identity": 10.0}],
    ids=lambda changed: next(iter(changed)),
)
def test_a_variant_of_the_losses_changes_the_sum_alone(options: TrainingOptions, changed: dict[str, Any]) -> None:
    trainer = Trainer(options)
    batch = next(trainer.batches.iterate(0, 1))
    before: dict[str, Tensor] = {}
    after: dict[str, Tensor] = {}
    for weights, terms in ((options.weights, before), (replace(options.weights, **changed), after)):
        trainer.step.module.weights = weights
        terms.update(trainer.step.module(batch, "frame", torch.Generator()))
    assert before["loss"] != after["loss"]
    assert all(torch.equal(value, after[name]) for name, value in before.items() if name != "loss")
    assert after["loss"].isfinite()


def test_runs_from_before_a_loss_existed_are_the_same_run_without_it(options: TrainingOptions) -> None:
    saved = options.as_text()
    saved["weights"] = "{'content': 1.0, 'style': 5.0, 'tv': 0.0, 'stillness': 0.0, 'style_power': 1.0}"
    assert options.changed_since(saved) == []
    assert replace(options, weights=LossWeights(identity=1.0)).changed_since(saved) == ["weights"]
