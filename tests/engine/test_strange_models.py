"""Model folders that strangers made: refused in a sentence, before a file elsewhere is read or a network is run."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from livestyle import Model, Stylizer
from livestyle.engine import network_file
from livestyle.engine.model import MANIFEST, PRESETS, STYLE, STYLIZE, checksum
from livestyle.engine.network_file import NetworkFile, check_network
from livestyle.errors import DeviceError, LivestyleError, ModelError
from tests.program import IDENTITY, livestyle

# It needs the package onnx.
make_identity = pytest.importorskip("tests.models.make_identity")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(IDENTITY, tmp_path / "model"))


@pytest.fixture
def onnx() -> Any:
    return pytest.importorskip("onnx")


def renew(folder: Path, *names: str, **changes: object) -> None:
    """Write files' checksums, and other changes, into the manifest."""
    path = folder / MANIFEST
    content = json.loads(path.read_text())
    content["files"].update({name: checksum(folder / name) for name in names})
    path.write_text(json.dumps(content | changes))


def put(onnx: Any, folder: Path, name: str, text: str) -> None:
    onnx.save(onnx.parser.parse_model(text), folder / name)
    renew(folder, name)


PLAIN = make_identity.stylizer(half=False, regions=False)


def test_the_operators_of_a_network_are_counted_before_it_is_loaded(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(network_file, "MOST_NODES", 3)
    with pytest.raises(ModelError, match="it has more than 3 operators"):
        Stylizer(folder, "cpu")


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("float strength, ", "float power, ", "it lacks the input strength"),
        (" float momentum)", " float momentum, float[3] more)", "it has an input 'more'"),
        ("uint8[N, H, W, 3] frames", "float[N, H, W, 3] frames", r"input frames is float \[N, H, W, 3\] and not uint8"),
        ("float[6] content_state", "float[7] content_state", r"input content_state is float \[7\] and not float \[6\]"),
        ("float strength", "float[1] strength", r"its input strength is float \[1\] and not float \[\]"),
        ("uint8[N, H, W, 3] frames", "uint8[H, W, 3] frames", r"\[H, W, 3\] and not uint8 \[any, any, any, 3\]"),
        ("float[6] stats", "float[N] stats", r"its input stats is float \[N\] and not float \[6\]"),
        ("float[6] next_content_state)", "float[6] content)", "it lacks the output next_content_state"),
        ("(uint8[N, H, W, 3] stylized", "(float[N, H, W, 3] whole", "it lacks the output stylized"),
    ],
)  # fmt: skip
def test_a_network_of_another_contract_is_refused(onnx: Any, folder: Path, before: str, after: str, words: str) -> None:
    assert before in PLAIN
    text = PLAIN.replace(before, after)
    if "strength" in before and "power" in after:
        text = text.replace("Mul (strength,", "Mul (power,")
    model = onnx.parser.parse_model(text)
    onnx.save(model, folder / STYLIZE)
    renew(folder, STYLIZE)
    with pytest.raises(ModelError, match=rf"stylize\.onnx.*{words}|stylize\.onnx cannot be run") as raised:
        Stylizer(folder, "cpu")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (make_identity.ENCODER.replace("image", "picture"), "it lacks the input image"),
        (make_identity.ENCODER.replace("stats", "figures"), "it lacks the output stats"),
        (make_identity.ENCODER.replace("Identity (own)", "Log (low)").replace("double zero", "float[6] low = "
         "{-1, -1, -1, -1, -1, -1}, double zero"), "gives no statistics"),
    ],
)  # fmt: skip
def test_an_encoder_of_another_contract_is_refused(onnx: Any, folder: Path, text: str, words: str) -> None:
    put(onnx, folder, STYLE, text)
    with pytest.raises(ModelError, match=words):
        Stylizer(folder, "cpu").encode_style(np.zeros((64, 64, 3), np.uint8))


def test_a_network_that_fails_as_it_paints_is_an_error_in_a_sentence(
    onnx: Any, folder: Path, frame: np.ndarray
) -> None:
    text = PLAIN.replace("image = Identity (frames)", "image = Reshape (frames, wrong)")
    put(onnx, folder, STYLIZE, text.replace("double zero", "int64[4] wrong = {1, 5, 7, 3}, double zero"))
    stylizer = Stylizer(folder, "cpu")
    with pytest.raises(DeviceError, match="a frame of 203x121 could not be painted"):
        stylizer.stylize(frame, stylizer.encode_style(frame))


@pytest.mark.parametrize("head", ['opset_import: ["" : 99]', 'opset_import: ["" : 18, "evil" : 1]'])
def test_a_network_of_other_operators_is_refused(onnx: Any, folder: Path, head: str) -> None:
    text = PLAIN.replace('opset_import: ["" : 18]', head).replace("image = Identity", "image = evil.Identity")
    if "99" in head:
        text = PLAIN.replace('opset_import: ["" : 18]', head)
    put(onnx, folder, STYLIZE, text)
    with pytest.raises(ModelError, match=r"stylize\.onnx cannot be run"):
        Stylizer(folder, "cpu")


def with_external_data(onnx: Any, folder: Path, location: str) -> None:
    """Let a number of the network be in another file."""
    model = onnx.load(folder / STYLIZE)
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.ClearField("int64_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    (folder / STYLIZE).write_bytes(model.SerializeToString())
    renew(folder, STYLIZE)


@pytest.mark.parametrize("location", ["../secret", "/etc/hostname", "link", "sub/../../secret", "missing", "pipe", ""])
def test_a_network_that_takes_data_from_elsewhere_is_refused(
    onnx: Any, folder: Path, monkeypatch: pytest.MonkeyPatch, location: str
) -> None:
    (folder.parent / "secret").write_bytes(bytes(4096))
    if sys.platform != "win32":
        (folder / "link").symlink_to("../secret")
        os.mkfifo(folder / "pipe")
    with_external_data(onnx, folder, location)
    monkeypatch.setattr("onnxruntime.InferenceSession", lambda *_, **__: pytest.fail("opened"))
    with pytest.raises(ModelError, match="which is no file of its folder: do not use it"):
        Stylizer(folder, "cpu")


@pytest.mark.parametrize("location", ["../secret", "pipe"])
def test_a_peer_that_takes_data_from_elsewhere_is_refused(onnx: Any, folder: Path, location: str) -> None:
    (folder.parent / "secret").write_bytes(bytes(4096))
    if sys.platform != "win32":
        os.mkfifo(folder / "pipe")
    with_external_data(onnx, folder, location)
    result = livestyle("bench", "engine", "--peer", folder / STYLIZE, "--model", IDENTITY, "--device", "cpu")
    assert result.returncode == 1
    assert "which is no file of its folder: do not use it" in result.stderr


def test_a_network_that_may_take_for_ever_is_refused(onnx: Any, tmp_path: Path) -> None:
    graph = onnx.helper.make_graph([onnx.helper.make_node("Loop", [""], [""])], "g", [], [])
    (tmp_path / "a.onnx").write_bytes(onnx.helper.make_model(graph).SerializeToString())
    with pytest.raises(ModelError, match="has Loop, and may take for ever"):
        check_network(tmp_path / "a.onnx")


def test_operators_and_data_are_found_at_every_depth(onnx: Any, tmp_path: Path) -> None:
    inner = onnx.helper.make_tensor("w", 1, [1], [0.0])
    inner.ClearField("float_data")
    inner.data_location = onnx.TensorProto.EXTERNAL
    inner.external_data.add(key="location", value="inner.bin")
    constant = onnx.helper.make_node("Constant", [], ["y"], value=inner)
    branch = onnx.helper.make_graph([constant], "branch", [], [onnx.helper.make_tensor_value_info("y", 1, [1])])
    node = onnx.helper.make_node("If", ["c"], ["z"], then_branch=branch, else_branch=branch)
    model = onnx.helper.make_model(onnx.helper.make_graph([node], "g", [], []))
    found = NetworkFile.parse(model.SerializeToString(), tmp_path)
    assert found.operators == {"If", "Constant"}
    assert found.locations == {"inner.bin"}


@pytest.mark.parametrize("data", [b"\x3a\xff", b"\xff" * 20, b"\x3a\x80\x80\x80\x80\x10", bytes(range(7, 40)), b"\x3b"])
def test_what_is_no_network_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.onnx").write_bytes(data)
    with pytest.raises(ModelError, match="is no network that onnxruntime can run"):
        check_network(tmp_path / "a.onnx")


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_a_file_of_the_folder_is_not_elsewhere(folder: Path) -> None:
    (folder / STYLIZE).rename(folder.parent / STYLIZE)
    (folder / STYLIZE).symlink_to(f"../{STYLIZE}")
    with pytest.raises(ModelError, match="names a file outside its folder"):
        Model.load(folder)


@pytest.mark.parametrize("name", [MANIFEST, STYLIZE])
def test_a_file_of_40_gb_is_refused_at_once(folder: Path, name: str) -> None:
    with (folder / name).open("wb") as file:
        file.truncate(40 << 30)
    with pytest.raises(ModelError, match=r"40 GiB, and .* are the most"):
        Model.load(folder)


Change = Callable[[dict[str, Any]], object]


@pytest.mark.parametrize(
    "change",
    [
        {"name": "\x1b[31mred"},
        {"name": "\u202egnp"},
        {"name": "x" * 101},
        {"name": ["a"]},
        {"arch": None},
        {"metrics": 3},
        {"stats_size": 1e999},
        {"stats_size": True},
        {"files": {str(number): "" for number in range(101)}},
    ],
)
def test_a_manifest_of_odd_values_is_refused(folder: Path, change: dict[str, object]) -> None:
    renew(folder, **change)
    with pytest.raises(ModelError, match="is damaged"):
        Model.load(folder)


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 50_000, "1" * 5000, "[]", "null", "NaN"])
def test_a_manifest_of_odd_json_is_refused(folder: Path, text: str) -> None:
    (folder / MANIFEST).write_text(text)
    with pytest.raises(ModelError, match="is not a readable manifest") as raised:
        Model.load(folder)
    assert len(str(raised.value)) < 500


@pytest.mark.parametrize(
    "text",
    ["[" * 100_000, '{"a": [1e999, 0, 0, 0, 0, 0]}', '{"\\u001b[2J": [0, 0, 0, 0, 0, 0]}', '{"a": {"b": 1}}', "3"],
)
def test_presets_of_odd_values_are_refused(folder: Path, text: str) -> None:
    (folder / PRESETS).write_text(text)
    renew(folder, PRESETS)
    with pytest.raises(LivestyleError, match=r"presets? .*(cannot be read|does not belong|cannot be shown)"):
        Model.load(folder).presets()
