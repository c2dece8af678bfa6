from __future__ import annotations

import os
import shutil
import signal
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from livestyle.engine.model import package_folder
from livestyle.errors import LivestyleError
from train.checkpoints import average_checkpoints, load_checkpoint, load_model
from train.losses import LossWeights
from train.networks import CompactModel
from train.options import TrainingOptions
from train.trainer import Trainer
from train.training_step import TrainingStep

pytestmark = pytest.mark.train
LITE = package_folder("weights") / "lite"


@pytest.mark.parametrize("cache", [0, 1])
@pytest.mark.parametrize("arch", ["tiny", "classic", pytest.param("lite", marks=pytest.mark.slow)])
def test_a_resumed_run_is_the_uninterrupted_run(
    options: TrainingOptions, tmp_path: Path, request: pytest.FixtureRequest, arch: str, cache: int
) -> None:
    options = replace(options, arch=arch, cache=cache, save_iter=3)
    if arch == "lite":
        options = replace(options, vgg_weights=request.getfixturevalue("vgg19"))
    whole = Trainer(options)
    before = {name: value.clone() for name, value in whole.model.stylizer.named_parameters()}
    whole.run()
    assert any(not torch.equal(value, before[name]) for name, value in whole.model.stylizer.named_parameters())

    half = Trainer(replace(options, checkpoint=tmp_path / "other"))
    assert half.run_until(3) == 3
    rest = Trainer(replace(options, checkpoint=tmp_path / "other", resume=True))
    rest.run()

    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, rest.model.state_dict()[name]), name
    first, second = load_checkpoint(options.checkpoint), load_checkpoint(tmp_path / "other")
    assert torch.equal(first["random"], second["random"])
    assert first["best"] == second["best"]
    for name, value in first["average"].items():
        assert torch.equal(value, second["average"][name]), name


def test_training_can_start_from_a_model_folder(options: TrainingOptions) -> None:
    """The statistics reader, which does not ship, is fitted: it gives what the style encoder gives."""
    trainer = Trainer(replace(options, arch="lite", start_from=LITE))
    shipped, _ = load_model(LITE / "model.safetensors")
    assert isinstance(shipped, CompactModel)
    assert isinstance(trainer.model, CompactModel)
    for part in ("stylizer", "style_head", "style_encoder"):
        ours, theirs = (model.get_submodule(part).state_dict() for model in (trainer.model, shipped))
        assert all(torch.equal(ours[name], value) for name, value in theirs.items())
    with torch.no_grad():
        batch = next(trainer.batches.iterate(0, 1))
        read = trainer.model.statistics_reader(batch.style_statistics)
        encoded = shipped.style_encoder(batch.style)
    assert (read - encoded).square().mean() < 0.2 * encoded.square().mean()


def test_each_stage_trains_its_own_part(options: TrainingOptions, trained: Path) -> None:
    new = Trainer(options).model.state_dict()
    ends = [load_checkpoint(trained / name)["model"] for name in ("stage-1-frame.pt", "stage-2-encoder.pt", "last.pt")]
    parts = ("stylizer", "style_head", "style_encoder.convs", "style_encoder.mlp")
    changed = [
        [
            part
            for part in parts
            if not all(torch.equal(before[name], value) for name, value in after.items() if name.startswith(part))
        ]
        for before, after in pairwise([new, *ends])
    ]
    assert changed == [["stylizer", "style_head"], ["style_encoder.convs", "style_encoder.mlp"], list(parts)]


def test_the_end_of_each_stage_is_kept_to_go_back_to(options: TrainingOptions, trained: Path) -> None:
    kept = sorted(path.name for path in trained.glob("stage-*"))
    assert kept == ["stage-1-frame.pt", "stage-2-encoder.pt"]
    average = load_checkpoint(trained / kept[1])["average"]
    again = Trainer(replace(options, start_from=trained / kept[1]))
    for name, value in average.items():
        assert torch.equal(value, again.model.state_dict()[name]), name


@pytest.mark.parametrize("is_trained", [False, True])
def test_statistics_of_small_batches_normalise_a_style_encoder_only_while_it_is_new(
    options: TrainingOptions, trained: Path, is_trained: bool
) -> None:
    trainer = Trainer(replace(options, start_from=trained if is_trained else None))
    averages = [trainer.model.get_buffer("style_encoder.norm.running_mean").clone()]
    for end in (2, 3, 6):
        trainer.run_until(end)
        averages.append(trainer.model.get_buffer("style_encoder.norm.running_mean").clone())
    moved = [not torch.equal(before, after) for before, after in pairwise(averages)]
    assert moved == [False, not is_trained, False]


def test_ctrl_c_ends_a_run_after_the_iteration_in_hand_and_nothing_is_lost(
    options: TrainingOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    forward = TrainingStep.forward

    def interrupted(step: TrainingStep, *arguments: Any) -> Any:
        os.kill(os.getpid(), signal.SIGINT)
        return forward(step, *arguments)

    monkeypatch.setattr(TrainingStep, "forward", interrupted)
    with pytest.raises(KeyboardInterrupt):
        Trainer(options).run()
    assert load_checkpoint(options.checkpoint)["iteration"] == 1


def test_validation_losses_and_images_are_written_for_tensorboard(trained: Path) -> None:
    events = EventAccumulator(str(trained / "tensorboard"))
    events.Reload()
    tags = events.Tags()
    assert {"validation/content", "validation/style", "validation/loss"} <= set(tags["scalars"])
    assert tags["images"] == ["pictures"]


def test_a_power_below_one_asks_most_of_pairs_whose_style_is_nearly_right(options: TrainingOptions) -> None:
    trainer = Trainer(options)
    batch = next(trainer.batches.validation(trainer.batches.held_out))

    # The closer its target, the less a pair's style loss.
    batch.style_statistics[0] = batch.content_statistics[0]
    batch.style_statistics.requires_grad_()
    shares = []
    for power in (1.0, 0.5):
        trainer.step.module.weights = LossWeights(0, 1, style_power=power)
        terms = trainer.step(batch, "frame", trainer.batches.generator(0))
        (slope,) = torch.autograd.grad(terms["loss"], batch.style_statistics)
        near, far = slope.norm(dim=1)
        shares.append(near / far)
    assert shares[1] > shares[0]


def test_a_batch_whose_gradients_overflow_changes_nothing(
    options: TrainingOptions, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    forward = TrainingStep.forward

    def overflowing(step: TrainingStep, *args: Any) -> dict[str, torch.Tensor]:
        terms = forward(step, *args)
        return {**terms, "loss": terms["loss"] * float("inf")}

    trainer = Trainer(options)
    before = {name: value.clone() for name, value in trainer.model.named_parameters()}
    monkeypatch.setattr(TrainingStep, "forward", overflowing)
    trainer.run_until(2)
    assert all(torch.equal(value, before[name]) for name, value in trainer.model.named_parameters())
    assert "2 batches changed nothing" in caplog.text


def test_a_run_goes_on_with_another_optimizer(options: TrainingOptions, caplog: pytest.LogCaptureFixture) -> None:
    Trainer(replace(options, optimizer="adamw")).run_until(1)
    trainer = Trainer(replace(options, resume=True))
    trainer.run_until(2)
    assert trainer.iteration == 2
    assert "going on with other options than before: optimizer" in caplog.text


def test_a_run_of_another_architecture_is_not_resumed(options: TrainingOptions, trained: Path) -> None:
    with pytest.raises(LivestyleError, match="holds a run of tiny, not of lite"):
        Trainer(replace(options, arch="lite", checkpoint=trained, resume=True))


@pytest.mark.parametrize("more", [{"resume": True}, {"start_from": Path("run")}])
def test_a_run_with_a_loss_network_of_other_widths_is_not_gone_on_with(
    options: TrainingOptions, trained: Path, vgg19: Path, more: dict[str, Any]
) -> None:
    options = replace(options, vgg_weights=vgg19, **more)
    options = replace(options, checkpoint=trained) if options.resume else replace(options, start_from=trained)
    with pytest.raises(LivestyleError, match="was trained with a loss network of other widths"):
        Trainer(options)


def test_the_mean_of_two_checkpoints_lies_between_them(trained: Path) -> None:
    paths = trained / "stage-1-frame.pt", trained / "last.pt"
    mean = average_checkpoints(*paths, 0.25)["average"]["stylizer.stem.conv.weight"]
    first, second = (load_checkpoint(path)["average"]["stylizer.stem.conv.weight"] for path in paths)
    assert not torch.equal(first, second)
    torch.testing.assert_close(mean, 0.75 * first + 0.25 * second)


def test_a_cut_off_checkpoint_is_refused(trained: Path, tmp_path: Path) -> None:
    path = Path(shutil.copy(trained / "last.pt", tmp_path))
    os.truncate(path, path.stat().st_size // 2)
    with pytest.raises(LivestyleError, match="is not a readable checkpoint"):
        load_model(path)
