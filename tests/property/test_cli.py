"""The command line with every option in every wrong kind of value: a result, or one sentence and no traceback."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import cv2
import numpy as np
import pytest
import typer
from hypothesis import given, settings
from hypothesis import strategies as st

from livestyle.cli.main import app
from livestyle.text import escaped
from tests.program import IDENTITY, livestyle

from .values import words

# What waits for people or devices, measures for minutes, or writes elsewhere.
LEFT_OUT = {
    *("help", "version", "refine", "camera", "cameras", "serve", "virtual_camera", "window", "output", "folder"),
    *("record", "port", "raw", "seconds", "device", "cluster", "cloud"),
}
FIXED = {
    "image": ("in.png", "-o", "out.png", "--force", "--device", "cpu"),
    "video": ("missing.mp4", "-o", "out.mp4", "--device", "cpu"),
    "webcam": ("--no-window", "--no-saved", "--camera", "missing.mp4", "--record", "out.mp4", "--device", "cpu"),
    "preview": ("styles", "preview", "in.png", "-o", "sheet.png", "--force", "--device", "cpu"),
    "add": ("styles", "add", "in.png"),
    "export": ("styles", "export", "-o", "out.livestyle", "--force"),
    "import": ("styles", "import", "in.png"),
    "bench": ("bench", "--compare", "a.json", "b.json"),
}


def options_of(verb: str) -> list[Any]:
    command: Any = typer.main.get_command(app)
    for word in ("styles", verb) if FIXED[verb][0] == "styles" else (verb,):
        command = command.commands[word]
    return [o for o in command.params if o.param_type_name == "option" and o.name not in LEFT_OUT]


@pytest.fixture(scope="module")
def picture() -> bytes:
    return bytes(cv2.imencode(".png", np.random.default_rng(0).integers(0, 256, (70, 80, 3), np.uint8))[1])


@pytest.mark.parametrize("verb", FIXED)
@settings(max_examples=max(8, settings().max_examples // 3))
@given(data=st.data())
def test_every_option_takes_every_wrong_value(picture: bytes, verb: str, data: st.DataObject) -> None:
    line = [*FIXED[verb]] if FIXED[verb][0] in ("styles", "bench") else [verb, *FIXED[verb]]
    wanted = st.lists(st.sampled_from(options_of(verb)), min_size=1, max_size=2, unique_by=lambda option: option.name)
    for option in data.draw(wanted):
        line.append(data.draw(st.sampled_from([*option.opts, *option.secondary_opts])))
        if not option.is_flag:
            line += [data.draw(words) for _ in range(option.nargs)]
    if "--model" not in line and any(option.name == "model" for option in options_of(verb)):
        line += ["--model", str(IDENTITY)]
    with TemporaryDirectory() as name:
        (Path(name) / "in.png").write_bytes(picture)
        result = livestyle(*line, cwd=Path(name), env={"LIVESTYLE_PRESETS": f"{name}/mine"})
    assert result.returncode in (0, 1, 2)
    assert "Traceback" not in result.stderr
    if result.returncode == 1:
        last = result.stderr.splitlines()[-1]
        assert last.startswith(("error: ", "warning: "))
        assert last == escaped(last)
