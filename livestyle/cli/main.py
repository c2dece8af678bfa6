"""The command line: each verb parses its options and makes one call to the wings below."""

from __future__ import annotations

import logging
import os
import sys
import threading
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from livestyle import __version__
from livestyle.errors import InputError, LivestyleError
from livestyle.memory import is_memory_error
from livestyle.text import escaped

from .bench import bench
from .doctor import doctor
from .options import (
    AlphaOption,
    BackgroundOption,
    BitsOption,
    CodecOption,
    DeinterlaceOption,
    DeviceOption,
    DryRunOption,
    ForceOption,
    HardwareOption,
    InsecureOption,
    JobsOption,
    JsonOption,
    MaskOption,
    ModelOption,
    PresetOption,
    QuietOption,
    RawOption,
    RayOption,
    RayStorageOption,
    SizeOption,
    StyleOption,
    TimedStyleOption,
    ToneMapOption,
    TrackOption,
    check_look,
    look_options,
)
from .process import finish_streams, ignore_signals, prepare_streams, raise_on_signals, silence_in_video
from .run import distribution_of, inputs_of, is_folder_of_styles, load, looks_of, open_mask, reporter
from .styles import styles_app
from .verb import Group, Verb
from .web import web

if TYPE_CHECKING:
    from livestyle.styles.library import Style, StyleLibrary
    from livestyle.styles.timeline import Timeline

DEMO_STYLE = "two-horses"
"""Preset of the demo, the one that looks best on its clip; a model without it takes its first."""

GREETING = """livestyle turns a webcam, a video or a picture into a painting, live, in the style of any picture.

  livestyle webcam                              your camera in a window; h there shows the keys
  livestyle video in.mp4 -o out.mp4             a film, with its sound
  livestyle image photo.jpg -o painted.png      a picture

  livestyle demo        paints the clip that comes along      livestyle doctor    what this machine can do
  livestyle --help      all there is                          livestyle webcam --camera demo    no camera at hand"""

app = typer.Typer(
    cls=Group,
    invoke_without_command=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(styles_app, name="styles")


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"livestyle {__version__}")
        raise typer.Exit


@app.callback()
def livestyle(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Turn a webcam, a video or a picture into a painting, live, in any style that you have a picture of."""
    if context.invoked_subcommand is None:
        print(GREETING)


@app.command(cls=Verb)
@look_options(unset=True)
def webcam(
    camera: Annotated[
        str | None,
        typer.Option(
            help="A camera's number, a device path, a stream address, a video or a picture; an address with ?listen "
            "waits for a sender; demo is the clip that comes along. (default: 0)"
        ),
    ] = None,
    style: StyleOption = None,
    styles: Annotated[
        Path | None, typer.Option(help="Folder of pictures to choose from; it is watched for new ones.")
    ] = None,
    look: Any = None,
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
    full_screen: Annotated[bool | None, typer.Option("--full-screen/--no-full-screen", help="Fill the screen.")] = None,
    fps: Annotated[
        float | None,
        typer.Option(
            help="Hold this rate by painting smaller; 0: always paint at the camera's size, and every frame of a file. "
            "(default: 24)"
        ),
    ] = None,
    size: Annotated[
        str | None, typer.Option(help="Scale larger frames down to fit in it, such as 640x360, and stay there.")
    ] = None,
    insecure: InsecureOption = False,
    device: DeviceOption = "auto",
    model: ModelOption = None,
    folder: Annotated[Path, typer.Option(help="Where the keys s and r put their files.")] = Path(),
    record: Annotated[Path | None, typer.Option(help="Record to this MP4 file from the start.")] = None,
    serve: Annotated[
        str | None, typer.Option(help="Serve the painting as MJPEG at this port of 127.0.0.1, or at ADDRESS:PORT.")
    ] = None,
    serve_token: Annotated[
        str | None,
        typer.Option(
            envvar="LIVESTYLE_SERVE_TOKEN",
            help="What clients must know, 16 characters or more; best in the variable, as other users of this machine "
            "can read command lines. Without it, one is made and printed where it is not 127.0.0.1.",
        ),
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
    from livestyle.engine.model import package_folder
    from livestyle.live.app import run_webcam
    from livestyle.live.config import SinkOptions
    from livestyle.live.settings import Settings, load_settings

    if camera == "demo" and not Path(camera).exists():
        camera = str(package_folder("assets") / "demo.mp4")
    asked = Settings(
        camera=camera,
        style=style,
        styles=None if styles is None else str(styles),
        mask=mask,
        background=background,
        full_screen=full_screen,
        crossfade=crossfade,
        cycle=cycle,
        size=size,
        fps=fps,
        look={name: value for name, value in look.items() if value is not None},
    )
    sinks = SinkOptions(window, folder, record, serve, virtual_camera, serve_token)
    try:
        run_webcam(asked, load_settings() if saved else None, device, model, sinks, insecure=insecure)
    except InputError as error:
        if camera is None and "camera" in error.settings:
            found = "; livestyle cameras lists them, livestyle webcam --camera demo paints the clip that comes along"
            raise InputError(f"{error}{found}") from error
        raise


@app.command(cls=Verb)
def cameras(
    sources: Annotated[
        list[str] | None, typer.Argument(metavar="CAMERA", help="Measure these; without any, all that are found.")
    ] = None,
    insecure: InsecureOption = False,
) -> None:
    """List the cameras with their sizes and the rates that they really give."""
    from livestyle.media.capture.probe import run_cameras

    run_cameras(sources or [], insecure=insecure)


@app.command(cls=Verb)
@look_options()
def video(
    sources: Annotated[
        list[Path],
        typer.Argument(
            metavar="IN",
            help="Videos, folders of them, patterns such as films/*.mov, numbered pictures such as f_%04d.png, or -.",
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            help="The video to write: .mp4, .mov, .mkv, .webm, .gif, .webp; numbered pictures such as g_%04d.png; "
            "a folder for several; or -.",
        ),
    ],
    style: TimedStyleOption = None,
    look: Any = None,
    mask: MaskOption = None,
    background: BackgroundOption = None,
    crossfade: Annotated[float, typer.Option(help="Seconds from style to style, where they have times.")] = 0.6,
    start: Annotated[str | None, typer.Option(help="Begin there: seconds, 1:12.5 or 1:02:03.")] = None,
    end: Annotated[str | None, typer.Option(help="End there.")] = None,
    size: SizeOption = None,
    fps: Annotated[
        str | None,
        typer.Option(
            help="Frames a second, such as 25 or 30000/1001; without it, as they come. Numbered pictures have this "
            "rate. (default: 25)"
        ),
    ] = None,
    codec: CodecOption = None,
    crf: Annotated[int | None, typer.Option(help="Quality: 0 is best, 18 is the default of h264.")] = None,
    preset: PresetOption = None,
    hardware: HardwareOption = False,
    raw: RawOption = None,
    video_track: TrackOption = None,
    deinterlace: DeinterlaceOption = "auto",
    tone_map: ToneMapOption = "auto",
    bits: BitsOption = "auto",
    alpha: AlphaOption = False,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume", help="Go on with what was interrupted, in steps of 250 frames; what is complete stays as it is."
        ),
    ] = False,
    dry_run: DryRunOption = False,
    jobs: JobsOption = 1,
    ray: RayOption = None,
    ray_storage: RayStorageOption = None,
    run_in: Annotated[
        int | None, typer.Option(help="On a cluster: frames painted before each piece, to settle. (default: 75)")
    ] = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    device: DeviceOption = "auto",
    model: ModelOption = None,
    force: ForceOption = False,
) -> None:
    """Paint videos; sound, subtitles, chapters and timing stay as they are."""
    from livestyle.jobs.batch import VideoBatch
    from livestyle.jobs.frame_rate import parse_rate
    from livestyle.jobs.options import VideoOptions
    from livestyle.media.resize import parse_size
    from livestyle.media.video.codecs import Encoding
    from livestyle.media.video.stdio import is_stdout, parse_raw
    from livestyle.styles.timeline import check_crossfade, parse_time, read_styles

    if is_stdout(output):
        silence_in_video()
    check_look(look)
    check_crossfade(crossfade)
    options = VideoOptions(
        size=None if size is None else parse_size(size),
        fps=None if fps is None else parse_rate(fps),
        start=None if start is None else parse_time(start),
        end=None if end is None else parse_time(end),
        encoding=Encoding(codec, crf, preset, hardware, bits),
        raw=None if raw is None else parse_raw(raw),
        resume=resume,
        video_track=video_track,
        deinterlace=deinterlace,
        tone_map=tone_map,
        alpha=alpha,
        dry_run=dry_run,
    )
    opened = open_mask(mask, background)
    batch = VideoBatch(
        sources,
        output,
        options,
        inputs=inputs_of(model, style, background, mask),
        workers=jobs,
        force=force,
        one_style=not is_folder_of_styles(style),
    )

    def find(library: StyleLibrary, text: str) -> Sequence[Style | Timeline]:
        return read_styles(library, text, crossfade)

    with distribution_of(ray, ray_storage, device, jobs, run_in) as workers:
        stylizer, library = load(model, device if workers is None else workers.own_device, jobs, quiet=quiet)
        looks = looks_of(library, style, look, opened, background, find)
        batch.run(stylizer, looks, progress=not quiet, done=reporter(as_json, quiet), distribution=workers)


@app.command(cls=Verb)
@look_options(without=("stabilise",))
def image(
    sources: Annotated[
        list[Path], typer.Argument(metavar="IN", help="Pictures, folders of them, or patterns such as photos/*.jpg.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="The picture to write, or a folder for several.")],
    style: StyleOption = None,
    look: Any = None,
    mask: MaskOption = None,
    background: BackgroundOption = None,
    size: SizeOption = None,
    bits: BitsOption = "auto",
    dry_run: DryRunOption = False,
    jobs: JobsOption = 1,
    ray: RayOption = None,
    ray_storage: RayStorageOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    device: DeviceOption = "auto",
    model: ModelOption = None,
    force: ForceOption = False,
) -> None:
    """Paint pictures."""
    from livestyle.jobs.batch import ImageBatch
    from livestyle.media.resize import parse_size

    check_look(look)
    fits = None if size is None else parse_size(size)
    opened = open_mask(mask, background)
    batch = ImageBatch(
        sources,
        output,
        size=fits,
        inputs=inputs_of(model, style, background, mask),
        workers=jobs,
        force=force,
        one_style=not is_folder_of_styles(style),
        dry_run=dry_run,
        bits=bits,
    )
    with distribution_of(ray, ray_storage, device, jobs) as workers:
        stylizer, library = load(model, device if workers is None else workers.own_device, jobs, quiet=quiet)
        looks = looks_of(library, style, look, opened, background)
        batch.run(stylizer, looks, progress=not quiet, done=reporter(as_json, quiet), distribution=workers)


@app.command(cls=Verb)
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
    if style is None and DEMO_STYLE in stylizer.model.presets():
        style = DEMO_STYLE
    for result in batch.run(stylizer, looks_of(library, style), progress=True, done=print_result):
        show_video(result.path)


app.command(cls=Verb)(bench)
app.command(cls=Verb)(web)
app.command(cls=Verb)(doctor)


def _options_for(settings: Sequence[str], arguments: Sequence[str]) -> str:
    """Options of these names that the verb in a command line has, as " (--a, --b)"; of a switch that is on its "no"."""
    command: Any = typer.main.get_command(app)
    for word in arguments:
        command = getattr(command, "commands", {}).get(word, command)
    options = {option.name: option for option in command.params if option.param_type_name == "option"}
    found = [options[name] for name in settings if name in options]
    names = [(o.secondary_opts if o.default is True and o.secondary_opts else o.opts)[0] for o in found]
    return f" ({', '.join(names)})" if names else ""


class _WithOptions(logging.Formatter):
    """Formatter of warnings; those that carry ``settings`` get the options of these names."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        text = escaped(super().formatMessage(record))
        return text + _options_for(getattr(record, "settings", ()), sys.argv[1:])


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code of a command line; what a person can put right prints one sentence and gives 1.

    Args:
        arguments: without the program's name; None is those of this process.
    """
    try:
        app(arguments, prog_name="livestyle")
    except LivestyleError as error:
        options = _options_for(error.settings, sys.argv[1:] if arguments is None else arguments)
        print(f"error: {escaped(error)}{options}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        if not is_memory_error(error):
            raise
        text = "there is not enough memory for this: take smaller pictures or a smaller size, or fewer jobs at a time"
        print(f"error: {text}", file=sys.stderr)
        return 1
    except SystemExit as end:
        # Typer ends by it, always with a number.
        return end.code if isinstance(end.code, int) else 0
    return 0


def run_program() -> NoReturn:
    """Entry point of the program ``livestyle``: `main` in a process that is its own."""
    prepare_streams()
    logging.addLevelName(logging.WARNING, "warning")
    handler = logging.StreamHandler()
    handler.setFormatter(_WithOptions("%(levelname)s: %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    if os.environ.get("LIVESTYLE_DEBUG"):
        # Tracebacks of unforeseen errors.
        logging.getLogger("livestyle").setLevel(logging.DEBUG)
    else:
        # Of damaged images, Pillow warns beside our own error.
        warnings.filterwarnings("ignore", module="PIL")
    raise_on_signals()
    code = main()
    ignore_signals()
    code = finish_streams(code, sys.argv[1:])
    if any(thread.daemon for thread in threading.enumerate()):
        # FFmpeg or a driver can hold a camera's thread for seconds, and Python crashes where it ends before that.
        os._exit(code)
    raise SystemExit(code)


if __name__ == "__main__":
    run_program()
