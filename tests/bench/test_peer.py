"""Foreign ONNX stylizers: what they are given, what is taken of them, and what is said of files that are none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from livestyle import InputError
from livestyle.bench.peer import Peer, from_network, to_network
from tests.program import IDENTITY
from tests.program import livestyle as run

HEAD = '<ir_version: 8, opset_import: ["" : 18]>'
STYLIZE = f"""{HEAD}
invert (float[1, 3, h, w] content, float[1, 2, 1, 1] signals) => (float[1, 3, h, w] stylized)
<float one = {{1}}> {{ stylized = Sub (one, content) }}"""
STYLE = f"""{HEAD}
encode (float[1, 3, h, w] style) => (float[1, 2, 1, 1] signals)
<float[1, 2, 1, 1] signals_of_all = {{3, 4}}> {{ signals = Identity (signals_of_all) }}"""


@pytest.fixture
def frames() -> list[np.ndarray]:
    return [np.random.default_rng(0).integers(0, 256, (64, 96, 3), np.uint8)]


@pytest.fixture
def onnx() -> Any:
    return pytest.importorskip("onnx")


def save(onnx: Any, text: str, path: Path) -> Path:
    onnx.save(onnx.parser.parse_model(text), path)
    return path


def test_bytes_survive_the_conversion(frames: list[np.ndarray]) -> None:
    assert (from_network(to_network(frames[0])) == frames[0]).all()


def test_images_go_to_a_network_as_rgb_from_0_to_1() -> None:
    blue = np.zeros((64, 64, 3), np.uint8)
    blue[..., 0] = 255
    image = to_network(blue)
    assert image.shape == (1, 3, 64, 64)
    assert image.mean(axis=(0, 2, 3)).tolist() == [0, 0, 1]


def test_paintings_out_of_range_are_clipped() -> None:
    image = np.zeros((1, 3, 64, 64), np.float32)
    image[0, 0], image[0, 2] = 1.5, -0.5
    assert from_network(image)[0, 0].tolist() == [0, 0, 255]


def test_a_peer_paints_a_frame(onnx: Any, frames: list[np.ndarray], tmp_path: Path) -> None:
    peer = Peer(str(save(onnx, STYLIZE, tmp_path / "peer.onnx")), 1, frames)
    assert peer.name == "peer"
    assert peer.inputs["signals"].shape == (1, 2, 1, 1)
    assert (peer.paint(frames[0]) == 255 - frames[0]).all()


def test_a_style_network_gives_what_the_stylizer_takes(onnx: Any, frames: list[np.ndarray], tmp_path: Path) -> None:
    paths = [save(onnx, text, tmp_path / name) for text, name in ((STYLIZE, "peer.onnx"), (STYLE, "style.onnx"))]
    peer = Peer("+".join(map(str, paths)), 1, frames)
    assert peer.inputs["signals"].ravel().tolist() == [3, 4]


def test_a_plus_sign_may_be_part_of_a_name(onnx: Any, frames: list[np.ndarray], tmp_path: Path) -> None:
    assert Peer(str(save(onnx, STYLIZE, tmp_path / "a+b.onnx")), 1, frames).name == "a+b"


def test_a_peer_is_measured_beside_the_engine(onnx: Any, tmp_path: Path) -> None:
    path = save(onnx, STYLIZE, tmp_path / "peer.onnx")
    result = run("bench", "engine", "--model", IDENTITY, "--size", "96x64", "--seconds", "0.01", "--peer", path)
    assert result.returncode == 0, result.stderr
    assert [line.split()[0] for line in result.stdout.splitlines()[2:4]] == ["identity", "peer"]


def test_a_missing_file_is_named_before_anything_is_measured() -> None:
    result = run("bench", "engine", "--model", IDENTITY, "--peer", "none.onnx")
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == "error: there is no ONNX file none.onnx\n"


def test_a_file_that_is_no_network_is_refused(frames: list[np.ndarray], tmp_path: Path) -> None:
    path = tmp_path / "peer.onnx"
    path.write_bytes(b"no network")
    with pytest.raises(InputError, match=r"peer\.onnx is no network that onnxruntime can run"):
        Peer(str(path), 1, frames)


def test_a_network_without_an_image_is_refused(frames: list[np.ndarray]) -> None:
    with pytest.raises(InputError, match=r"is no stylizer to measure: it takes no image"):
        Peer(str(IDENTITY / "stylize.onnx"), 1, frames)


def test_a_style_network_of_another_stylizer_is_refused(onnx: Any, frames: list[np.ndarray], tmp_path: Path) -> None:
    other = save(onnx, STYLE.replace("signals", "codes"), tmp_path / "style.onnx")
    with pytest.raises(InputError, match=r"style\.onnx gives codes, which .*peer\.onnx does not take"):
        Peer(f"{save(onnx, STYLIZE, tmp_path / 'peer.onnx')}+{other}", 1, frames)


IMAGE = "float[1, 3, h, w]"


def network(others: str = "", stylized: str = IMAGE, body: str = "Sub (one, content)") -> str:
    """Text of a network of an image, and of others where the text begins with a comma."""
    return f"""{HEAD}
peer ({IMAGE} content{others}) => ({stylized} stylized)
<float one = {{1}}, int64[2] shape = {{2, 3}}> {{ stylized = {body} }}"""


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (network(", int64[1] step"), "its input step is no tensor of float32"),
        (network(", float[99999, 99999] codes"), "its input codes has 9999800001 numbers"),
        (network(", float[1, 3, 99999, 99999] look"), "its image look has 9999800001 pixels"),
        (network(stylized="float[]", body="ReduceSum <keepdims = 0> (content)"), "gives no image"),
        (network(stylized="float[2, 3]", body="Reshape (content, shape)"), "a frame of 96x64"),
    ],
)
def test_a_network_that_is_no_stylizer_is_refused_in_a_sentence(
    onnx: Any, frames: list[np.ndarray], tmp_path: Path, text: str, words: str
) -> None:
    path = save(onnx, text, tmp_path / "peer.onnx")
    with pytest.raises(InputError, match=rf"peer\.onnx (is no stylizer to measure|cannot paint).*{words}"):
        Peer(str(path), 1, frames).paint(frames[0])


def test_a_style_network_that_fails_is_named(onnx: Any, frames: list[np.ndarray], tmp_path: Path) -> None:
    stylize = save(onnx, STYLIZE, tmp_path / "peer.onnx")
    text = network(stylized="float[2, 3]", body="Reshape (content, shape)")
    style = save(onnx, text.replace("stylized", "signals"), tmp_path / "style.onnx")
    with pytest.raises(InputError, match=r"style\.onnx cannot encode a style image"):
        Peer(f"{stylize}+{style}", 1, frames)
