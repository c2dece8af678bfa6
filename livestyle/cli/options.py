"""The options of the command line, each once; those of a painting come from the fields of `Look`."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from enum import StrEnum
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

from livestyle.render.look import CHOICES, DEFAULTS

from .completion import complete_device, complete_model, complete_style, completes

StyleOption = Annotated[
    str | None,
    typer.Option(
        "--style",
        "-s",
        autocompletion=complete_style,
        help="A preset, a picture, a folder of pictures, or a mix: starry-night:0.7,scream:0.3. "
        "Without it, the first one.",
    ),
]
TimedStyleOption = Annotated[
    str | None,
    typer.Option(
        "--style",
        "-s",
        autocompletion=complete_style,
        help="A preset, a picture, a folder of pictures, a mix: starry-night:0.7,scream:0.3, or styles with "
        "times in the result: scream@0,starry-night@1:12.5, mixes too. Without it, the first one.",
    ),
]
SizeOption = Annotated[str | None, typer.Option(help="Scale to fit in it, such as 1280x720, with the shape kept.")]
JobsOption = Annotated[int, typer.Option(help="So many files at a time; they share the cores.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print a line of JSON for each file, for scripts.")]
QuietOption = Annotated[
    bool, typer.Option("--quiet", "-q", help="Print warnings and errors only: no device, no progress, no results.")
]
DeviceOption = Annotated[
    str,
    typer.Option(
        autocompletion=complete_device,
        help="auto, cpu, cpu-float32 (slower; nothing is rounded to 8 bits), cuda, tensorrt-rtx, webgpu, openvino or "
        "coreml. None of them becomes the CPU in silence. cuda:1 is the second GPU, cuda:0,cuda:1 a process on each.",
    ),
]
ModelOption = Annotated[
    str | None,
    typer.Option(autocompletion=complete_model, help="A model that ships (lite, full), or a model folder."),
]
MaskOption = Annotated[
    Path | None,
    typer.Option(
        help="A picture, a video or numbered pictures whose white, or whose opaque part, is the foreground: only that "
        "is painted in the style. It is stretched over the frames."
    ),
]
BackgroundOption = Annotated[
    str | None,
    typer.Option(
        autocompletion=complete_style,
        help="The style outside the mask: a preset, a picture or a mix. (default: original, the content)",
    ),
]
InsecureOption = Annotated[
    bool, typer.Option("--insecure", help="Take any certificate of https and rtsps: some cameras have made their own.")
]
BitsOption = Annotated[
    str,
    typer.Option(
        autocompletion=completes("auto", "8", "10", "16"),
        help="Of a channel: auto (more than 8 where the source has them and the target takes them), 8, 10, or 16 in "
        "PNG and TIFF.",
    ),
]
CodecOption = Annotated[
    str | None,
    typer.Option(
        autocompletion=completes("h264", "hevc", "av1", "vp9", "prores"),
        help="h264, hevc, av1, vp9 or prores; without it vp9 in .webm, h264 elsewhere.",
    ),
]
PresetOption = Annotated[
    str | None, typer.Option(help="ultrafast to veryslow; of prores proxy, lt, standard, hq or 4444.")
]
HardwareOption = Annotated[
    bool, typer.Option("--hardware", help="Encode on the graphics card, and fail where that cannot be.")
]
RawOption = Annotated[
    str | None,
    typer.Option(
        metavar="WxH@RATE",
        help="Frames on standard input and output are bare: bgr24 for 640x360@25, or 640x360@25:rgb24.",
    ),
]
AlphaOption = Annotated[
    bool, typer.Option("--alpha", help="Keep the transparency of numbered pictures, in numbered pictures.")
]
TrackOption = Annotated[
    int | None, typer.Option(help="Of several videos in a file, this one, from 1; else the default, or largest.")
]
DeinterlaceOption = Annotated[
    str,
    typer.Option(
        autocompletion=completes("auto", "off", "frame", "field"),
        help="auto, off, frame (one of two fields, as auto) or field (one of each).",
    ),
]
ToneMapOption = Annotated[
    str,
    typer.Option(
        autocompletion=completes("auto", "off"), help="auto (HDR becomes SDR) or off (HDR keeps its colours)."
    ),
]
DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Paint nothing: say what would be kept, converted and left out.")
]
RayOption = Annotated[
    str | None,
    typer.Option(
        help="Paint on a Ray cluster: auto (the one that this machine belongs to), local, or ray://HOST:10001."
    ),
]
RayStorageOption = Annotated[
    str | None,
    typer.Option(
        help="Where the pieces wait for the workers: a folder that all nodes share, or an address such as "
        "s3://bucket/folder. Without it they travel through Ray."
    ),
]
ForceOption = Annotated[bool, typer.Option("--force", "-f", help="Replace what is there.")]

Verb = Callable[..., None]


def look_options(*, unset: bool = False, without: tuple[str, ...] = ()) -> Callable[[Verb], Verb]:
    """Decorator that gives a verb one option for each choice of `Look`, in place of its parameter ``look``.

    Typer reads a function's signature, so the decorated function gets one with these options in it. The verb itself
    gets their values as ``look``, a mapping by the names of the fields.

    Args:
        unset: options that are not given are None, instead of the defaults of `Look`.
        without: fields that mean nothing for the verb, such as side by side on a contact sheet.
    """
    names = [name for name in CHOICES if name not in without]

    def decorate(verb: Verb) -> Verb:
        hints = get_type_hints(verb, include_extras=True)
        parameters: list[inspect.Parameter] = []
        for parameter in inspect.signature(verb).parameters.values():
            if parameter.name == "look":
                parameters += [_option(name, unset) for name in names]
            else:
                parameters.append(parameter.replace(annotation=hints[parameter.name]))

        @wraps(verb)
        def run(**values: Any) -> None:
            look = {name: values.pop(name) for name in names}
            verb(look=look, **values)

        # Not the signature of what it wraps.
        del run.__wrapped__
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        return run

    return decorate


def _option(name: str, unset: bool) -> inspect.Parameter:
    default, help_text = DEFAULTS[name], CHOICES[name].help
    flag = name.replace("_", "-")
    switch = isinstance(default, bool)
    if unset:
        shown = ("on" if default else "off") if switch else f"{default}" if isinstance(default, str) else f"{default:g}"
        help_text += f" (default: {shown})"
    # An option that turns off what is off already would only lengthen the help.
    names = f"--{flag}" if default is False and not unset else f"--{flag}/--no-{flag}"
    option = typer.Option(names, help=help_text) if switch else typer.Option(help=help_text)
    kind: Any = type(default)
    annotation = Annotated[kind | None, option] if unset else Annotated[kind, option]
    return inspect.Parameter(
        name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=None if unset else default, annotation=annotation
    )


def check_look(look: Mapping[str, Any]) -> None:
    """Raise an `InputError` for a value of a look that is out of range, before a model is loaded for it."""
    for name, value in look.items():
        if isinstance(value, int | float) and not isinstance(value, bool | StrEnum):
            CHOICES[name].check(value)
