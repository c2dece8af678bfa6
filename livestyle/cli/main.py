"""The command line: each verb reads its options and calls one thing below."""

from __future__ import annotations

import io
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from livestyle import __version__
from livestyle.errors import LivestyleError
from livestyle.render.color import ColorMode

from .options import (
    COLOR_HELP,
    BackgroundOption,
    ColorOption,
    DeviceOption,
    ForceOption,
    MaskOption,
    ModelOption,
    StrengthOption,
    StrokeSizeOption,
)
from .styles import styles_app

if TYPE_CHECKING:
    from livestyle.engine.stylizer import Stylizer
    from livestyle.styles.library import Style, StyleLibrary
    from livestyle.styles.regions import Regions
    from livestyle.styles.timeline import Timeline

T = TypeVar("T")

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(styles_app, name="styles")

StyleOption = Annotated[
    str | None,
    typer.Option(
        "--style",
        "-s",
        help="A preset, a picture, a folder of pictures, or a mix: starry-night:0.7,scream:0.3. "
        "Without it, the first one.",
    ),
]
SizeOption = Annotated[str | None, typer.Option(help="Scale to fit in it, such as 1280x720, with the shape kept.")]
CompareOption = Annotated[bool, typer.Option("--compare", help="The source on the left of its painting.")]
JobsOption = Annotated[int, typer.Option(help="So many files at a time; they share the cores.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print a line of JSON for each file, for scripts.")]


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"livestyle {__version__}")
        raise typer.Exit


@app.callback()
def livestyle(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Turn a webcam, a video or a picture into a painting, live, in any style that you have a picture of."""


@app.command()
def webcam(
    camera: Annotated[
        str | None,
        typer.Option(help="A camera's number, a device path, a stream address, a video or a picture. (default: 0)"),
    ] = None,
    style: StyleOption = None,
    styles: Annotated[
        Path | None, typer.Option(help="Folder of pictures to choose from; it is watched for new ones.")
    ] = None,
    strength: Annotated[
        float | None, typer.Option(help="0 (the camera as it is) to 1 (all of the style). (default: 1)")
    ] = None,
    stroke_size: Annotated[
        float | None, typer.Option(help="How many times as wide strokes are, 1 to 16. (default: 1)")
    ] = None,
    color: Annotated[ColorMode | None, typer.Option(help=f"{COLOR_HELP} (default: style)")] = None,
    mask: Annotated[
        str | None,
        typer.Option(
            help="A picture whose white, or whose opaque part, is the foreground: only that is painted in the style. "
            "It is stretched over the camera's picture and mirrored with it. none: paint all, whatever was saved."
        ),
    ] = None,
    background: BackgroundOption = None,
    crossfade: Annotated[float | None, typer.Option(help="Seconds from style to style. (default: 0.6)")] = None,
    cycle: Annotated[float | None, typer.Option(help="Go through all styles, so many seconds each.")] = None,
    mirror: Annotated[bool | None, typer.Option("--mirror/--no-mirror", help="Left and right change places.")] = None,
    side_by_side: Annotated[
        bool | None, typer.Option("--side-by-side/--no-side-by-side", help="The camera beside its painting.")
    ] = None,
    stabilise: Annotated[
        bool | None,
        typer.Option(
            "--stabilise/--no-stabilise",
            help="Hold the painting still when the light changes, and take the camera's noise away. (default: on)",
        ),
    ] = None,
    full_screen: Annotated[bool | None, typer.Option("--full-screen/--no-full-screen", help="Fill the screen.")] = None,
    fps: Annotated[
        float | None,
        typer.Option(help="Hold this rate by painting smaller; 0: always paint at the camera's size. (default: 24)"),
    ] = None,
    size: Annotated[
        str | None, typer.Option(help="Scale larger frames down to fit in it, such as 640x360, and stay there.")
    ] = None,
    device: DeviceOption = "auto",
    model: ModelOption = None,
    folder: Annotated[Path, typer.Option(help="Where the keys s and r put their files.")] = Path(),
    record: Annotated[Path | None, typer.Option(help="Record to this MP4 file from the start.")] = None,
    serve: Annotated[
        str | None, typer.Option(help="Serve the painting as MJPEG at this port of 127.0.0.1, or at ADDRESS:PORT.")
    ] = None,
    virtual_camera: Annotated[
        bool, typer.Option("--virtual-camera", help="Be a camera for Zoom, Teams, OBS and others.")
    ] = False,
    window: Annotated[bool, typer.Option("--window/--no-window", help="Show a window.")] = True,
    saved: Annotated[
        bool, typer.Option("--saved/--no-saved", help="Begin with the settings that the key w has saved.")
    ] = True,
) -> None:
    """Paint a camera in a window; press h there for the keys."""
    from livestyle.live.app import run_webcam
    from livestyle.live.config import Targets
    from livestyle.live.settings import Settings, load_settings

    asked = Settings(
        camera=camera,
        style=style,
        styles=None if styles is None else str(styles),
        strength=strength,
        stroke_size=stroke_size,
        color=color,
        mask=mask,
        background=background,
        mirror=mirror,
        side_by_side=side_by_side,
        stabilise=stabilise,
        full_screen=full_screen,
        crossfade=crossfade,
        cycle=cycle,
        size=size,
        fps=fps,
    )
    targets = Targets(window, folder, record, serve, virtual_camera)
    run_webcam(asked, load_settings() if saved else None, device, model, targets)


@app.command()
def cameras(
    sources: Annotated[
        list[str] | None, typer.Argument(metavar="[CAMERA]...", help="Measure these; without any, all that are found.")
    ] = None,
) -> None:
    """List the cameras with their sizes and the rates that they really give."""
    from livestyle.media.capture.probe import run_cameras

    run_cameras(sources or [])


@app.command()
def video(
    sources: Annotated[
        list[Path], typer.Argument(metavar="IN...", help="Videos, folders of them, patterns such as films/*.mov, or -.")
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            help="The video to write: .mp4, .mov, .mkv, .webm, .gif, .webp; a folder for several; or -.",
        ),
    ],
    style: Annotated[
        str | None,
        typer.Option(
            "--style",
            "-s",
            help="A preset, a picture, a folder of pictures, a mix: starry-night:0.7,scream:0.3, or styles with "
            "times in the result: scream@0,starry-night@1:12.5, mixes too. Without it, the first one.",
        ),
    ] = None,
    strength: StrengthOption = 1.0,
    stroke_size: StrokeSizeOption = 1.0,
    color: ColorOption = ColorMode.STYLE,
    mask: MaskOption = None,
    background: BackgroundOption = None,
    crossfade: Annotated[float, typer.Option(help="Seconds from style to style, where they have times.")] = 0.6,
    start: Annotated[str | None, typer.Option(help="Begin there: seconds, 1:12.5 or 1:02:03.")] = None,
    end: Annotated[str | None, typer.Option(help="End there.")] = None,
    size: SizeOption = None,
    fps: Annotated[
        str | None, typer.Option(help="Frames a second, such as 25 or 30000/1001; without it, as they come.")
    ] = None,
    compare: CompareOption = False,
    codec: Annotated[
        str | None, typer.Option(help="h264, hevc, av1, vp9 or prores; without it vp9 in .webm, h264 elsewhere.")
    ] = None,
    crf: Annotated[int | None, typer.Option(help="Quality: 0 is best, 18 is the default of h264.")] = None,
    preset: Annotated[
        str | None, typer.Option(help="ultrafast to veryslow; of prores proxy, lt, standard, hq or 4444.")
    ] = None,
    hardware: Annotated[
        bool, typer.Option("--hardware", help="Encode on the graphics card, and fail where that cannot be.")
    ] = False,
    raw: Annotated[
        str | None,
        typer.Option(
            metavar="WxH@RATE",
            help="Frames on standard input and output are bare: bgr24 for 640x360@25, or 640x360@25:rgb24.",
        ),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume", help="Go on with what was interrupted, in steps of 250 frames; what is complete stays as it is."
        ),
    ] = False,
    jobs: JobsOption = 1,
    as_json: JsonOption = False,
    device: DeviceOption = "auto",
    model: ModelOption = None,
    force: ForceOption = False,
) -> None:
    """Paint videos; sound, subtitles, chapters and timing stay as they are."""
    from livestyle.jobs.batch import VideoOptions, check_videos, convert_videos, print_json, print_result
    from livestyle.jobs.video import parse_rate
    from livestyle.media.capture.camera import parse_size
    from livestyle.media.video.codecs import Encoding
    from livestyle.media.video.stdio import parse_raw
    from livestyle.styles.regions import Regions, find_background
    from livestyle.styles.timeline import check_crossfade, parse_time, read_styles

    check_crossfade(crossfade)
    options = VideoOptions(
        stroke_size=stroke_size,
        size=None if size is None else parse_size(size),
        fps=None if fps is None else parse_rate(fps),
        start=None if start is None else parse_time(start),
        end=None if end is None else parse_time(end),
        compare=compare,
        encoding=Encoding(codec, crf, preset, hardware),
        raw=None if raw is None else parse_raw(raw),
        resume=resume,
    )

    regions = Regions.of(mask, background)
    check_videos(sources, output, options, mask=mask, jobs=jobs, force=force, one_style=not _is_folder(style))

    def find(library: StyleLibrary) -> tuple[list[Style | Timeline], Regions | None]:
        def read(text: str) -> list[Style | Timeline]:
            return read_styles(library, text, crossfade)

        styles: list[Style | Timeline] = [library.first()] if style is None else read(style)
        behind = find_background(background, read)
        return styles, None if regions is None else replace(regions, background=behind)

    stylizer, (styles, regions) = _prepare(strength, device, model, find, jobs)
    done = print_json if as_json else print_result
    convert_videos(
        sources,
        output,
        stylizer,
        styles,
        strength,
        options,
        color=color,
        regions=regions,
        jobs=jobs,
        force=force,
        progress=True,
        done=done,
    )


@app.command()
def image(
    sources: Annotated[
        list[Path], typer.Argument(metavar="IN...", help="Pictures, folders of them, or patterns such as photos/*.jpg.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="The picture to write, or a folder for several.")],
    style: StyleOption = None,
    strength: StrengthOption = 1.0,
    stroke_size: StrokeSizeOption = 1.0,
    color: ColorOption = ColorMode.STYLE,
    mask: MaskOption = None,
    background: BackgroundOption = None,
    size: SizeOption = None,
    compare: CompareOption = False,
    jobs: JobsOption = 1,
    as_json: JsonOption = False,
    device: DeviceOption = "auto",
    model: ModelOption = None,
    force: ForceOption = False,
) -> None:
    """Paint pictures."""
    from livestyle.engine.stylizer import check_stroke_size
    from livestyle.jobs.batch import check_images, convert_images, print_json, print_result
    from livestyle.media.capture.camera import parse_size
    from livestyle.styles.regions import Regions, find_background

    check_stroke_size(stroke_size)
    fits = None if size is None else parse_size(size)
    regions = Regions.of(mask, background)
    check_images(sources, output, mask=mask, jobs=jobs, force=force, one_style=not _is_folder(style))

    def find(library: StyleLibrary) -> tuple[list[Style], Regions | None]:
        styles = _finder(style)(library)
        behind = find_background(background, library.find)
        return styles, None if regions is None else replace(regions, background=behind)

    stylizer, (styles, regions) = _prepare(strength, device, model, find, jobs)
    done = print_json if as_json else print_result
    convert_images(
        sources,
        output,
        stylizer,
        styles,
        strength,
        color=color,
        regions=regions,
        stroke_size=stroke_size,
        size=fits,
        compare=compare,
        jobs=jobs,
        force=force,
        progress=True,
        done=done,
    )


@app.command()
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
    from livestyle.jobs.batch import check_videos, convert_video, print_result
    from livestyle.live.window import show_video

    clip = package_folder("assets") / "demo.mp4"
    target = output or Path("livestyle-demo.mp4")
    check_videos([clip], target, force=output is None, one_style=not _is_folder(style))
    stylizer, styles = _prepare(1.0, device, model, _finder(style))
    for result in convert_video(clip, target, stylizer, styles, force=output is None, progress=True, done=print_result):
        show_video(result.path)


def _prepare(
    strength: float, device: str, model: str | None, find: Callable[[StyleLibrary], T], jobs: int = 1
) -> tuple[Stylizer, T]:
    """A stylizer on the device, which is said in one line, and what ``find`` finds among the styles."""
    from livestyle.engine.stylizer import Stylizer, check_strength
    from livestyle.styles.library import StyleLibrary

    # Before the model is loaded, for which nobody should wait in vain.
    check_strength(strength)
    stylizer = Stylizer(model, device)
    shared = f", shared by up to {jobs} jobs" if jobs > 1 else ""
    print(f"{stylizer.device.text}{shared}; model {stylizer.model.manifest.name}", file=sys.stderr, flush=True)
    library = StyleLibrary(stylizer)
    found = find(library)
    if library.encoded:
        pictures = "1 style picture" if library.encoded == 1 else f"{library.encoded} style pictures"
        print(f"{pictures} encoded; from now on the cache has them", file=sys.stderr, flush=True)
    return stylizer, found


def _is_folder(style: str | None) -> bool:
    """Whether a text may name several styles."""
    from livestyle.styles.library import existing_path

    path = None if style is None else existing_path(style)
    return path is not None and path.is_dir()


def _finder(style: str | None) -> Callable[[StyleLibrary], list[Style]]:
    return lambda library: [library.first()] if style is None else library.find(style)


def main() -> None:
    """Run the command line; what a person can put right ends it with one sentence and exit code 1."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # Names of files and styles are anything, and some terminals are ASCII.
        sys.stdout.reconfigure(errors="backslashreplace")
    logging.addLevelName(logging.WARNING, "warning")
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    if os.environ.get("LIVESTYLE_DEBUG"):
        # Where an error came from that nobody foresaw.
        logging.getLogger("livestyle").setLevel(logging.DEBUG)
    # So that nothing half-finished is left by kill, systemd or docker stop either.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    code = _run()
    if any(thread.daemon for thread in threading.enumerate()):
        # FFmpeg or a driver can hold a camera's thread for seconds, and Python crashes where it ends before that.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    raise SystemExit(code)


def _run() -> int:
    """The exit code of what the command line asks for."""
    try:
        app()
    except LivestyleError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except SystemExit as end:
        # It is how typer ends, always with a number.
        return end.code if isinstance(end.code, int) else 0
    return 0


if __name__ == "__main__":
    main()
