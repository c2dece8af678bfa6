"""The second design of the networks: its cost, its demodulated sites, and that it trains and keeps the interface."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from export.package import export_model
from livestyle import Model
from livestyle.engine.stabilizer import Stabilizer
from livestyle.engine.stylizer import Stylizer
from livestyle.errors import LivestyleError
from train.adain import Running
from train.checkpoints import load_checkpoint, load_model
from train.cost import multiply_accumulates
from train.demodulation import Expected
from train.eighth import EighthStylizer
from train.layers import ReflectConv
from train.networks import CompactModel, build_model, measured_channels
from train.options import TrainingOptions
from train.trainer import Trainer

pytestmark = pytest.mark.train


@pytest.fixture
def model() -> CompactModel:
    torch.manual_seed(1)
    made = build_model("tiny2")
    assert isinstance(made, CompactModel)
    return made.eval()


@pytest.mark.parametrize(
    ("arch", "least", "most"), [("lite", 5.0, 5.2), ("lite2-coarse", 3.0, 3.5), ("lite2", 3.0, 3.5), ("full2", 12, 15)]
)
def test_a_frame_of_640x360_costs_so_many_products(arch: str, least: float, most: float) -> None:
    assert least < multiply_accumulates(build_model(arch).stylizer) / 1e9 < most


def test_what_a_positive_part_and_a_convolution_are_expected_to_give_is_what_noise_gives() -> None:
    generator = torch.Generator().manual_seed(1)
    given = Expected(torch.tensor([-1.0, 0.0, 2.0]), torch.tensor([1.0, 0.25, 4.0]))
    noise = torch.randn(1, 3, 256, 256, generator=generator)
    x = (noise * given.variance.sqrt()[:, None, None] + given.mean[:, None, None]).relu()
    conv = ReflectConv(3, 5, bias=False)
    for values, expected in ((x, given.relu()), (conv(x), given.relu().through(conv.conv))):
        assert torch.allclose(values.mean(dim=(0, 2, 3)), expected.mean, atol=0.02)
        assert torch.allclose(values.var(dim=(0, 2, 3)), expected.variance, rtol=0.05, atol=0.01)


@torch.no_grad()
def test_behind_the_first_sites_nothing_depends_on_the_statistics_of_the_frame(model: CompactModel) -> None:
    frame, style = torch.rand(1, 3, 64, 320), model.encode_style(torch.rand(1, 3, 64, 64))
    size = 2 * sum(measured_channels(model))
    own = model.stylizer(frame, style, torch.ones(1), Running(torch.zeros(size), torch.tensor(0.0)))
    assert own[1] is not None
    assert own[1].shape == (size,)
    # With the first sites' statistics held, half of the frame is stylized as in the whole, out of sight of the rest.
    held = Running(own[1], torch.tensor(1.0))
    half, _ = model.stylizer(frame[..., :192], style, torch.ones(1), held)
    assert torch.allclose(half[..., :80], own[0][..., :80], atol=1e-5)
    assert torch.equal(own[0], model.stylizer(frame, style, torch.ones(1))[0])


@torch.no_grad()
def test_a_mask_gives_each_side_its_style(model: CompactModel) -> None:
    frame, styles = torch.rand(1, 3, 64, 64), model.encode_style(torch.rand(2, 3, 64, 64))
    one = torch.ones(1)
    state = Running(torch.zeros(2 * sum(measured_channels(model))), torch.tensor(0.0))
    for share, style in ((1.0, styles[:1]), (0.0, styles[1:])):
        masked, _ = model.stylizer(frame, styles, one, state, torch.full((1, 1, 64, 64), share))
        assert torch.allclose(masked, model.stylizer(frame, style, one)[0], atol=1e-5)


@torch.no_grad()
def test_at_strength_0_the_style_makes_no_difference(model: CompactModel) -> None:
    frame, styles = torch.rand(1, 3, 64, 64), model.encode_style(torch.rand(2, 3, 64, 64))
    first, second = (model.stylizer(frame, style[None], torch.zeros(1))[0] for style in styles)
    assert torch.allclose(first, second, atol=1e-5)


@torch.no_grad()
def test_the_four_pixels_of_a_block_start_out_equal(model: CompactModel) -> None:
    output, _ = model.stylizer(torch.rand(1, 3, 64, 64), model.encode_style(torch.rand(1, 3, 64, 64)), torch.ones(1))
    assert torch.allclose(F.interpolate(F.avg_pool2d(output, 2), scale_factor=2), output, atol=1e-6)
    assert output.std() > 1e-3


def test_the_second_design_learns_from_a_teacher_with_the_encoder_of_another_model(
    options: TrainingOptions, trained: Path
) -> None:
    stages = "distill:2,frozen:2,joint:2"
    options = replace(options, arch="tiny2", stages=stages, encoder_from=trained, teacher=trained)
    trainer = Trainer(options)
    model = trainer.model
    assert isinstance(model, CompactModel)
    assert isinstance(model.stylizer, EighthStylizer)
    encoder = copy.deepcopy(model.style_encoder.state_dict())
    theirs = load_model(trained)[0].state_dict()
    assert all(torch.equal(value, theirs[f"style_encoder.{name}"]) for name, value in encoder.items())
    before = copy.deepcopy(model.stylizer.state_dict())

    trainer.run_until(4)
    spent = load_checkpoint(options.checkpoint)["cpu_seconds"]
    assert spent > 0
    assert all(torch.equal(value, encoder[name]) for name, value in model.style_encoder.state_dict().items())
    assert not any(torch.equal(value, before[name]) for name, value in model.stylizer.state_dict().items())

    again = Trainer(replace(options, resume=True))
    again.run()
    assert again.iteration == 6
    assert load_checkpoint(options.checkpoint)["cpu_seconds"] > spent
    assert isinstance(load_model(options.checkpoint)[0], CompactModel)


def test_a_teacher_has_to_be_named(options: TrainingOptions) -> None:
    with pytest.raises(LivestyleError, match="give --teacher one"):
        Trainer(replace(options, stages="distill:1"))


def test_a_style_encoder_of_another_size_is_refused(options: TrainingOptions, trained: Path) -> None:
    with pytest.raises(LivestyleError, match="is of another size than that of lite2"):
        Trainer(replace(options, arch="lite2", encoder_from=trained))


def test_the_two_designs_do_not_start_from_each_other(options: TrainingOptions, trained: Path) -> None:
    with pytest.raises(LivestyleError, match="a model of the second design starts from none"):
        Trainer(replace(options, arch="tiny2", start_from=trained))


@pytest.mark.slow
def test_the_second_design_is_exported_with_the_running_state_of_its_first_sites(
    options: TrainingOptions, trained: Path, images: Path, tmp_path: Path
) -> None:
    options = replace(options, arch="tiny2", stages="frozen:1", max_iter=2, encoder_from=trained)
    Trainer(options).run()
    parity = export_model(options.checkpoint, tmp_path / "mine", [images], None, None)
    assert parity.largest <= 1
    manifest = Model.load(tmp_path / "mine").manifest
    model = load_model(options.checkpoint)[0]
    assert (manifest.stats_size, manifest.state_size) == (
        2 * sum(model.site_channels),
        2 * sum(measured_channels(model)),
    )
    stylizer = Stylizer(tmp_path / "mine", "cpu")
    frame = np.random.default_rng(1).integers(256, size=(70, 90, 3), dtype=np.uint8)
    stylized = stylizer.stylize(frame, stylizer.encode_style(frame), state=Stabilizer())
    assert stylized.shape == frame.shape
