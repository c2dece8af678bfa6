"""Architectures, Net2Net, the loss network, and the operations and losses below them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from livestyle.engine.model import package_folder
from livestyle.errors import LivestyleError
from train.adain import running_statistics
from train.checkpoints import load_model
from train.data import CropSource, find_images, to_float
from train.layers import ReflectConv
from train.losses import noisy_window, stillness_loss
from train.net2net import enlarge
from train.networks import ARCHITECTURES, STYLE_CODE_SIZE, CompactModel
from train.operations import ReflectPadBySlices, channel_moments, reflect_pad
from train.optimizer import ConvolutionMuon
from train.options import TrainingOptions
from train.schedule import learning_rate_factor, parse_stages
from train.trainer import Trainer
from train.vgg import LossNetwork

pytestmark = pytest.mark.train


@pytest.mark.parametrize(
    ("small", "large"), [("tiny", "lite"), pytest.param("lite", "full", marks=pytest.mark.slow, id="lite-full")]
)
def test_a_larger_architecture_starts_as_the_smaller_one_and_not_the_other_way_round(
    options: TrainingOptions, trained: Path, small: str, large: str
) -> None:
    start = trained if small == "tiny" else package_folder("weights") / small
    trainer = Trainer(replace(options, arch=large, start_from=start))
    model, _ = load_model(start if small == "tiny" else start / "model.safetensors")
    batch = next(trainer.batches.iterate(0, 1))
    with torch.no_grad():
        ours, theirs = (
            model.eval().stylizer(batch.content, model.encode_style(batch.style), torch.ones(1))[0]
            for model in (trainer.model, model)
        )
    assert (ours - theirs).abs().mean() < 0.05 * (theirs - batch.content).abs().mean()
    # Copies of a channel are read with other weights, or they would stay copies.
    reading = trainer.model.get_parameter("stylizer.down.conv.weight").detach()
    size = model.site_channels[-1]
    first, second = reading[:, :size], reading[:, size : 2 * size]
    assert (first - second).abs().mean() > 0.1 * first.abs().mean()

    trainer.run_until(1)
    with pytest.raises(LivestyleError, match=f"{small} is smaller than the model to start from"):
        Trainer(replace(options, arch=small, start_from=options.checkpoint, checkpoint=options.checkpoint / "smaller"))


def test_a_style_encoder_grows_deeper_without_giving_something_else(monkeypatch: pytest.MonkeyPatch) -> None:
    deep = ARCHITECTURES["lite"]
    monkeypatch.setitem(ARCHITECTURES, "lite", replace(deep, style_depth=deep.style_depth - 1))
    shallow = CompactModel("lite").eval()
    monkeypatch.undo()
    image = torch.rand(2, 3, 64, 64)
    assert torch.allclose(enlarge(shallow, "lite").eval().encode_style(image), shallow.encode_style(image), atol=1e-4)


def test_a_style_head_of_two_layers_begins_as_the_one_that_it_corrects() -> None:
    torch.manual_seed(0)
    linear = CompactModel("lite").eval()
    code = torch.randn(3, STYLE_CODE_SIZE)
    assert torch.allclose(enlarge(linear, "lite-deep").style_head(code), linear.style_head(code), atol=1e-6)


@torch.no_grad()
def test_a_new_style_encoder_has_hardly_a_dead_channel(images: Path) -> None:
    torch.manual_seed(1)
    source = CropSource(find_images([images]), 64, (0.6, 1.5), seed=1, recolor=True, vivid=0.25)
    x = (to_float(torch.stack(list(source.crops(range(32)))), torch.device("cpu")) - 0.5) * 4
    for conv in CompactModel("lite").style_encoder.modules():
        if isinstance(conv, ReflectConv):
            x = conv(x).relu()
            assert (x.amax(dim=(0, 2, 3)) > 0).float().mean() > 0.85


@pytest.mark.parametrize("momentum", [0.0, 0.7])
def test_running_statistics_of_a_batch_are_those_frame_by_frame(momentum: float) -> None:
    torch.manual_seed(0)
    statistics, state = torch.rand(5, 3), torch.rand(3)
    together = running_statistics(statistics, state, torch.tensor(momentum))
    for row, expected in zip(statistics, together, strict=True):
        state = momentum * state + (1 - momentum) * row
        torch.testing.assert_close(state, expected)


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


def test_the_widths_of_a_loss_network_are_those_of_its_file(loss_network: Path) -> None:
    features = LossNetwork(loss_network)(torch.rand(1, 3, 64, 64))
    assert {name: tap.shape[1] for name, tap in features.items()} == {
        "relu1_1": 8,
        "relu2_1": 16,
        "relu3_1": 32,
        "relu4_1": 64,
    }


@pytest.mark.parametrize(
    "damage",
    [
        lambda state: state.pop("2.weight"),
        lambda state: state.pop("29.bias"),
        lambda state: state.update({"2.weight": torch.zeros(())}),
        lambda state: state.update({"2.weight": state["2.weight"][:7]}),
        lambda state: state.update({"29.weight": state["29.weight"][:32], "29.bias": state["29.bias"][:32]}),
    ],
    ids=["no first layer", "no last bias", "no width", "odd width", "widths that do not fit together"],
)
def test_a_file_that_is_no_loss_network_is_refused(
    damage: Callable[[dict[str, Tensor]], object], loss_network: Path, tmp_path: Path
) -> None:
    state = load_file(loss_network)
    damage(state)
    save_file(state, tmp_path / "damaged.safetensors")
    with pytest.raises(LivestyleError, match="is not a VGG-19 up to relu4_1"):
        LossNetwork(tmp_path / "damaged.safetensors")


def test_a_loss_network_that_is_cut_off_is_refused(loss_network: Path, tmp_path: Path) -> None:
    path = tmp_path / "cut.safetensors"
    path.write_bytes(loss_network.read_bytes()[:-1])
    with pytest.raises(LivestyleError, match="is not a readable safetensors file"):
        LossNetwork(path)


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


def test_reflection_padding_keeps_the_precision_of_the_image() -> None:
    x = torch.rand(1, 2, 4, 4).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        bordered = reflect_pad(x, 1)
    assert bordered.dtype == torch.bfloat16
    assert torch.equal(bordered[0, 0, 0], x[0, 0, 1, [1, 0, 1, 2, 3, 2]])


def test_reflection_padding_by_slices_and_its_gradient_are_those_of_pytorchs_own() -> None:
    x = torch.randn(2, 3, 5, 8, dtype=torch.float64, requires_grad=True)
    bordered, wanted = ReflectPadBySlices.apply(x), torch.nn.functional.pad(x, (1,) * 4, mode="reflect")
    slope = torch.randn_like(wanted)
    assert torch.equal(bordered, wanted)
    assert bordered.is_contiguous(memory_format=torch.channels_last)
    (gradient,), (wanted,) = (torch.autograd.grad((slope * y).sum(), x) for y in (bordered, wanted))
    assert torch.allclose(gradient, wanted)


def test_what_moves_with_the_image_is_still_and_what_stays_in_its_place_is_not() -> None:
    images = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    for seed in range(8):
        generator = torch.Generator().manual_seed(seed)
        window, place = noisy_window(images, 0.0, generator, margin=4, batch_size=2, first=0)
        assert stillness_loss(images, window, place) == 0
        if place != (0, 0):
            grain = torch.rand(1, 3, 32, 32, generator=generator)
            assert stillness_loss(images + grain, window + grain[:, :, :28, :28], place) > 0.1
