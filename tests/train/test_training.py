from __future__ import annotations

import logging
import os
import shutil
import signal
import tarfile
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from livestyle.engine.model import package_folder
from livestyle.errors import LivestyleError
from train.__main__ import main
from train.checkpoints import average_checkpoints, load_checkpoint, load_model
from train.data import to_float
from train.losses import LossWeights, noisy_window, stillness_loss
from train.net2net import enlarge
from train.networks import ARCHITECTURES, CompactModel, ReflectConv
from train.operations import ReflectPadBySlices, channel_moments, reflect_pad
from train.optimizer import ConvolutionMuon
from train.options import TrainingOptions
from train.schedule import learning_rate_factor, parse_stages
from train.trainer import Trainer
from train.training_step import TrainingStep
from train.vgg import LossNetwork

STAGES = "frame:2,encoder:2,joint:2"


@pytest.fixture
def options(tmp_path: Path, pictures: Path, loss_network: Path) -> TrainingOptions:
    return TrainingOptions(
        arch="lite",
        content_path=[pictures],
        style_path=[pictures],
        checkpoint=tmp_path / "run",
        vgg_weights=loss_network,
        batch_size=2,
        max_iter=6,
        save_iter=3,
        crop=64,
        style_crop=64,
        stages=STAGES,
        device="cpu",
        workers=1,
    )


@pytest.mark.parametrize("cache", [0, 1])
def test_a_resumed_run_is_the_uninterrupted_run(options: TrainingOptions, tmp_path: Path, cache: int) -> None:
    options = replace(options, cache=cache)
    whole = Trainer(options)
    whole.run()

    half = Trainer(replace(options, checkpoint=tmp_path / "other"))
    stopped = half.run_until(3)
    assert stopped == 3
    rest = Trainer(replace(options, checkpoint=tmp_path / "other", resume=True))
    rest.run()

    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, rest.model.state_dict()[name]), name
    first, second = load_checkpoint(options.checkpoint), load_checkpoint(tmp_path / "other")
    assert torch.equal(first["random"], second["random"])
    assert first["best"] == second["best"]
    for name, value in first["average"].items():
        assert torch.equal(value, second["average"][name]), name


def test_training_can_begin_with_a_model_folder(options: TrainingOptions) -> None:
    """The statistics reader, which does not ship, is fitted: it gives what the style encoder gives."""
    folder = package_folder("weights") / "lite"
    trainer = Trainer(replace(options, start_from=folder))
    shipped, _ = load_model(folder / "model.safetensors")
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


def test_full_begins_as_the_lite_it_starts_from_and_not_the_other_way_round(options: TrainingOptions) -> None:
    folder = package_folder("weights") / "lite"
    trainer = Trainer(replace(options, arch="full", start_from=folder))
    shipped, _ = load_model(folder / "model.safetensors")
    batch = next(trainer.batches.iterate(0, 1))
    with torch.no_grad():
        ours, theirs = (
            model.eval().stylizer(batch.content, model.encode_style(batch.style), torch.ones(1))[0]
            for model in (trainer.model, shipped)
        )
    assert (ours - theirs).abs().mean() < 0.05 * (theirs - batch.content).abs().mean()
    # Copies of a channel are read with other weights, or they would stay copies.
    reading = trainer.model.get_parameter("stylizer.down.conv.weight").detach()
    size = shipped.site_channels[-1]
    first, second = reading[:, :size], reading[:, size : 2 * size]
    assert (first - second).abs().mean() > 0.1 * first.abs().mean()

    trainer.run_until(1)
    with pytest.raises(LivestyleError, match="lite is smaller than the model to start from"):
        Trainer(replace(options, start_from=options.checkpoint, checkpoint=options.checkpoint / "smaller"))


def test_a_style_encoder_grows_deeper_without_giving_something_else(monkeypatch: pytest.MonkeyPatch) -> None:
    deep = ARCHITECTURES["lite"]
    monkeypatch.setitem(ARCHITECTURES, "lite", replace(deep, style_depth=deep.style_depth - 1))
    shallow = CompactModel("lite").eval()
    monkeypatch.undo()
    picture = torch.rand(2, 3, 64, 64)
    assert torch.allclose(
        enlarge(shallow, "lite").eval().encode_style(picture), shallow.encode_style(picture), atol=1e-4
    )


@torch.no_grad()
def test_a_new_style_encoder_has_hardly_a_dead_channel(options: TrainingOptions) -> None:
    trainer = Trainer(options)
    assert isinstance(trainer.model, CompactModel)
    x = (to_float(torch.stack(list(trainer.batches.sources["style"].crops(range(32)))), torch.device("cpu")) - 0.5) * 4
    for conv in trainer.model.style_encoder.modules():
        if isinstance(conv, ReflectConv):
            x = conv(x).relu()
            assert (x.amax(dim=(0, 2, 3)) > 0).float().mean() > 0.85


def test_each_stage_trains_its_own_part(options: TrainingOptions) -> None:
    trainer = Trainer(options)

    def snapshot(part: str) -> torch.Tensor:
        module = trainer.model.get_submodule(part)
        return torch.cat([p.detach().flatten() for p in module.parameters()])

    parts = ("stylizer", "style_head", "style_encoder")
    changed = []
    for end in (2, 4, 6):
        before = {part: snapshot(part) for part in parts}
        trainer.run_until(end)
        changed.append([part for part in parts if not torch.equal(before[part], snapshot(part))])
    assert changed == [["stylizer", "style_head"], ["style_encoder"], list(parts)]


def test_the_end_of_each_stage_is_kept_to_go_back_to(options: TrainingOptions) -> None:
    trainer = Trainer(replace(options, save_iter=100))
    trainer.run_until(4)
    kept = sorted(path.name for path in options.checkpoint.glob("stage-*"))
    assert kept == ["stage-1-frame.pt", "stage-2-encoder.pt"]
    before = load_checkpoint(options.checkpoint / "stage-2-encoder.pt")["average"]
    trainer.run()
    again = Trainer(replace(options, checkpoint=options.checkpoint / "again", start_from=options.checkpoint / kept[1]))
    for name, value in before.items():
        assert torch.equal(value, again.model.state_dict()[name]), name


@pytest.mark.parametrize("is_trained", [False, True])
def test_statistics_of_small_batches_normalise_a_style_encoder_only_while_it_begins(
    options: TrainingOptions, is_trained: bool
) -> None:
    folder = package_folder("weights") / "lite"
    trainer = Trainer(replace(options, start_from=folder if is_trained else None))
    averages = [trainer.model.get_buffer("style_encoder.norm.running_mean").clone()]
    for end in (2, 3, 6):
        trainer.run_until(end)
        averages.append(trainer.model.get_buffer("style_encoder.norm.running_mean").clone())
    moved = [not torch.equal(before, after) for before, after in pairwise(averages)]
    assert moved == [False, not is_trained, False]


def test_damaged_and_tiny_pictures_are_skipped_with_one_warning(
    options: TrainingOptions, pictures: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    from PIL import Image

    folder = Path(shutil.copytree(pictures, tmp_path / "some damaged"))
    for number in range(4):
        (folder / f"bad{number}.jpg").write_bytes(b"\xff\xd8\xff not a picture")
    Image.new("RGB", (20, 20)).save(folder / "tiny.png")
    with caplog.at_level(logging.WARNING):
        Trainer(replace(options, content_path=[folder], max_iter=10, stages="frame:1")).run()
    first, summary = (r.getMessage() for r in caplog.records if r.name.startswith("train"))
    assert first.startswith("skipping pictures")
    assert summary.startswith("5 pictures were damaged")


def test_ctrl_c_ends_a_run_after_the_iteration_in_hand_and_nothing_is_lost(
    options: TrainingOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = Trainer(options)
    iterate = trainer._iterate

    def iterate_and_interrupt(*arguments: Any) -> Any:
        os.kill(os.getpid(), signal.SIGINT)
        return iterate(*arguments)

    monkeypatch.setattr(trainer, "_iterate", iterate_and_interrupt)
    with pytest.raises(KeyboardInterrupt):
        trainer.run()
    assert load_checkpoint(options.checkpoint)["iteration"] == 1


@pytest.mark.parametrize("is_renamed", [True, False])
def test_a_cached_crop_of_other_pictures_is_not_taken_for_these(
    options: TrainingOptions, pictures: Path, tmp_path: Path, is_renamed: bool
) -> None:
    options = replace(options, cache=1)
    Trainer(options)
    others = Path(shutil.copytree(pictures, tmp_path / "others"))
    for path in others.iterdir():
        if is_renamed:
            path.rename(path.with_name(f"other-{path.name}"))
        else:
            with Image.open(path) as picture:
                picture.rotate(180).resize((100, 80)).save(path)
    banks = {p.name for p in options.checkpoint.glob("content-*.bank.pt")}
    Trainer(replace(options, content_path=[others]))
    assert len({p.name for p in options.checkpoint.glob("content-*.bank.pt")} - banks) == 1


def test_cached_features_of_another_precision_are_not_taken(options: TrainingOptions, tmp_path: Path) -> None:
    features = tmp_path / "features"
    options = replace(options, cache=1, features=features, max_iter=1, stages="frame:1")
    for precision in ("32", "bf16"):
        trainer = Trainer(replace(options, precision=precision, checkpoint=tmp_path / precision))
        trainer.run()
        assert trainer.validation["style"] > 0
    for kind in ("content", "style", "held-out-content", "held-out-style"):
        assert len(list(features.glob(f"{kind}-????????????????.bank.pt"))) == 2


def test_every_epoch_pairs_pictures_anew(options: TrainingOptions, tmp_path: Path) -> None:
    """Where there are as many of each kind too; the grey level of a picture is its name here."""
    folder = tmp_path / "grey"
    folder.mkdir()
    for level in range(0, 250, 25):
        Image.new("RGB", (80, 80), (level, level, level)).save(folder / f"{level}.png")
    trainer = Trainer(replace(options, content_path=[folder], style_path=[folder]))
    pairs = {
        pair
        for batch in trainer.batches.iterate(0, 20)
        for pair in zip(batch.content[:, 0, 0, 0].tolist(), batch.style[:, 0, 0, 0].tolist(), strict=True)
    }
    assert len(pairs) > 20


def test_a_loss_network_that_is_normalised_computes_the_same_but_for_scales(loss_network: Path) -> None:
    torch.manual_seed(0)
    images = torch.rand(2, 3, 64, 64)
    plain, normalised = LossNetwork(loss_network), LossNetwork(loss_network)
    normalised.normalize(images)
    for name, features in normalised(images).items():
        original = plain(images)[name]
        fires = original.mean(dim=(0, 2, 3)) > 1e-6
        torch.testing.assert_close(features.mean(dim=(0, 2, 3))[fires], torch.ones(int(fires.sum())), atol=1e-3, rtol=0)
        expected = original / original.mean(dim=(0, 2, 3), keepdim=True)
        torch.testing.assert_close(features[:, fires], expected[:, fires], atol=1e-2, rtol=1e-2)


def test_a_tar_file_is_read_like_its_folder(options: TrainingOptions, pictures: Path, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "pictures.tar", "w") as archive:
        for path in sorted(pictures.iterdir()):
            archive.add(path, path.name)
    runs = [
        Trainer(replace(options, content_path=[source], checkpoint=tmp_path / name, max_iter=1, stages="frame:1"))
        for name, source in (("folder", pictures), ("tar", tmp_path / "pictures.tar"))
    ]
    for run in runs:
        run.run()
    first, second = (run.model.state_dict() for run in runs)
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_validation_losses_and_pictures_are_written_for_tensorboard(options: TrainingOptions) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    Trainer(options).run()
    events = EventAccumulator(str(options.checkpoint / "tensorboard"))
    events.Reload()
    tags = events.Tags()
    assert {"validation/content", "validation/style", "validation/loss"} <= set(tags["scalars"])
    assert tags["images"] == ["pictures"]


def test_the_decay_of_the_learning_rate_is_that_of_the_adain_implementations() -> None:
    (stage,) = parse_stages("frame:1", 1000, "lite")
    assert learning_rate_factor(500, stage, 5e-5) == pytest.approx(1 / (1 + 5e-5 * 500))


@pytest.mark.parametrize("text", ["frame", "frame:x", "frame:-1", "paint:1"])
def test_stages_that_cannot_be_read_are_refused(text: str) -> None:
    with pytest.raises(LivestyleError, match="cannot read the stage"):
        parse_stages(text, 10, "lite")


def test_muon_moves_a_convolution_in_all_directions_alike_and_what_is_no_convolution_as_adamw_does() -> None:
    generator = torch.Generator().manual_seed(1)
    conv = torch.nn.Conv2d(4, 8, 3)
    assert conv.bias is not None
    before = {name: value.detach().clone() for name, value in conv.named_parameters()}
    # One direction of the gradient is a hundred times as steep as the others.
    slope = torch.randn(8, 36, generator=generator)
    slope += 100 * slope[:, :1] @ slope[:1]
    conv.weight.grad, conv.bias.grad = slope.reshape(conv.weight.shape), torch.full((8,), 3.0)
    group = {"params": list(conv.parameters()), "muon": True}

    ConvolutionMuon([group], lr=0.01, weight_decay=0).step()

    moved = (conv.weight - before["weight"]).detach().flatten(1)
    values = torch.linalg.svdvals(moved)
    assert values.max() < 2 * values.min()
    assert moved.square().mean().sqrt() == pytest.approx(0.2 * 0.01, rel=0.3)
    assert (moved * slope).sum() < 0
    assert torch.allclose(conv.bias, before["bias"] - 0.01)


def test_the_gradient_of_channel_moments_is_that_of_pytorchs_own() -> None:
    generator = torch.Generator().manual_seed(1)
    x = (3 * torch.randn(2, 5, 6, 7, generator=generator) + 2).requires_grad_()
    weights = torch.randn(2, 2, 5, generator=generator)
    variance, mean = torch.var_mean(x, dim=(2, 3), correction=0)
    (wanted,) = torch.autograd.grad((weights * torch.stack([mean, variance])).sum(), x)

    moments = torch.stack(channel_moments(x))

    assert torch.allclose(moments, torch.stack([mean, variance]), atol=1e-5)
    assert torch.allclose(torch.autograd.grad((weights * moments).sum(), x)[0], wanted, atol=1e-6)


def test_a_mirrored_border_is_as_precise_as_the_picture_and_no_more() -> None:
    x = torch.rand(1, 2, 4, 4).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        bordered = reflect_pad(x, 1)
    assert bordered.dtype == torch.bfloat16
    assert torch.equal(bordered[0, 0, 0], x[0, 0, 1, [1, 0, 1, 2, 3, 2]])


def test_a_border_mirrored_by_slices_and_its_gradient_are_those_of_pytorchs_own() -> None:
    x = torch.randn(2, 3, 5, 8, dtype=torch.float64, requires_grad=True)
    bordered, wanted = ReflectPadBySlices.apply(x), torch.nn.functional.pad(x, (1,) * 4, mode="reflect")
    slope = torch.randn_like(wanted)
    assert torch.equal(bordered, wanted)
    assert bordered.is_contiguous(memory_format=torch.channels_last)
    (gradient,), (wanted,) = (torch.autograd.grad((slope * y).sum(), x) for y in (bordered, wanted))
    assert torch.allclose(gradient, wanted)


def test_what_moves_with_the_picture_is_still_and_what_stays_in_its_place_is_not() -> None:
    images = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    for seed in range(8):
        generator = torch.Generator().manual_seed(seed)
        window, place = noisy_window(images, 0.0, generator, margin=4, batch_size=2, first=0)
        assert stillness_loss(images, window, place) == 0
        if place != (0, 0):
            grain = torch.rand(1, 3, 32, 32, generator=generator)
            assert stillness_loss(images + grain, window + grain[:, :, :28, :28], place) > 0.1


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


def test_a_run_of_another_architecture_is_not_resumed(options: TrainingOptions) -> None:
    Trainer(replace(options, max_iter=1, stages="frame:1")).run()
    with pytest.raises(LivestyleError, match="holds a run of lite, not of full"):
        Trainer(replace(options, arch="full", resume=True))


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        (["--content-path", "nowhere"], "there is no folder or tar file nowhere"),
        (["--vgg-weights", "nowhere.safetensors"], "there is no loss network"),
        (["--arch", "huge"], "there is no architecture 'huge'"),
        (["--crop", "66"], "not a multiple of 4"),
        (["--batch-size", "1"], "is too small"),
        (["--device", "gpu"], "there is no device 'gpu'"),
        (["--precision", "8"], "--precision is one of"),
        (["--optimizer", "sgd"], "--optimizer is one of muon, adamw, not 'sgd'"),
    ],
)
def test_bad_options_end_with_one_sentence(
    pictures: Path,
    loss_network: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    changed: list[str],
    text: str,
) -> None:
    given = {
        "--content-path": str(pictures),
        "--style-path": str(pictures),
        "--checkpoint": str(tmp_path / "run"),
        "--vgg-weights": str(loss_network),
        "--batch-size": "2",
        "--device": "cpu",
    }
    given[changed[0]] = changed[1]
    assert main(["fit", *(word for pair in given.items() for word in pair)]) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert text in error


def test_the_mean_of_two_checkpoints_lies_between_them(options: TrainingOptions, tmp_path: Path) -> None:
    trainer = Trainer(replace(options, stages="frame:1"))
    paths = []
    for end in (1, 3):
        trainer.run_until(end)
        paths.append(Path(shutil.copy(options.checkpoint / "last.pt", tmp_path / f"{end}.pt")))
    mean = average_checkpoints(paths[0], paths[1], 0.25)["average"]["stylizer.stem.conv.weight"]
    first, second = (load_checkpoint(path)["average"]["stylizer.stem.conv.weight"] for path in paths)
    torch.testing.assert_close(mean, 0.75 * first + 0.25 * second)
