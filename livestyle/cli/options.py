"""The options that several verbs have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from livestyle.render.color import ColorMode

COLOR_HELP = (
    "Whose colours: the style's, the content's own, or the style picture's after they were matched to the content's; "
    "that needs a picture as the style, and not a preset that came with the model."
)
StrengthOption = Annotated[float, typer.Option(help="0 (the content as it is) to 1 (all of the style).")]
StrokeSizeOption = Annotated[
    float,
    typer.Option(
        help="How many times as wide strokes are, 1 to 16: large pictures need larger ones to look painted from afar."
    ),
]
DeviceOption = Annotated[
    str,
    typer.Option(
        help="auto, cpu, cpu-float32 (slower; nothing is rounded to 8 bits) or cuda. cuda never becomes the CPU in "
        "silence."
    ),
]
ModelOption = Annotated[str | None, typer.Option(help="A model that ships (lite, full), or a model folder.")]
ColorOption = Annotated[ColorMode, typer.Option(help=COLOR_HELP)]
MaskOption = Annotated[
    Path | None,
    typer.Option(
        help="A picture or a video whose white, or whose opaque part, is the foreground: only that is painted in the "
        "style. It is stretched over the frames."
    ),
]
BackgroundOption = Annotated[
    str | None,
    typer.Option(help="The style outside the mask: a preset, a picture or a mix. (default: original, the content)"),
]
ForceOption = Annotated[bool, typer.Option("--force", "-f", help="Replace what is there.")]
