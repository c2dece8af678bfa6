"""The verb demo."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import DeviceOption, ModelOption, StyleOption
from .run import inputs_of, is_folder_of_styles, load, looks_of


def demo(
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The video to write; without it, livestyle-demo.mp4.")
    ] = None,
    style: StyleOption = None,
    device: DeviceOption = "auto",
    model: ModelOption = None,
) -> None:
    """Paint the clip that comes with livestyle, say how fast, and show it where there is a screen."""
    from livestyle.engine.model import package_folder
    from livestyle.jobs.batch import VideoBatch
    from livestyle.jobs.report import print_result
    from livestyle.live.window import show_video

    clip = package_folder("assets") / "demo.mp4"
    target = output or Path("livestyle-demo.mp4")
    inputs = inputs_of(model, style)
    batch = VideoBatch([clip], target, inputs=inputs, force=output is None, one_style=not is_folder_of_styles(style))
    stylizer, library = load(model, device)
    for result in batch.run(stylizer, looks_of(library, style), progress=True, done=print_result):
        show_video(result.path)
