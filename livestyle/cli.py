"""The command line: each verb reads its options and calls one thing below."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from . import __version__
from .color import ColorMode
from .errors import LivestyleError

if TYPE_CHECKING:
    from .engine import Stylizer
    from .styles import Style

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
styles_app = typer.Typer(no_args_is_help=True, help="What styles there are.")
app.add_typer(styles_app, name="styles")

StyleOption = Annotated[
    str | None,
    typer.Option(
        "--style",
        "-s",
        help="A preset, a picture, a folder of pictures, or a mix: starry-night:0.7,scream:0.3. "
        "Without it, the first preset.",
    ),
]
StrengthOption = Annotated[float, typer.Option(help="0 (the content as it is) to 1 (all of the style).")]
DeviceOption = Annotated[str, typer.Option(help="auto, cpu or cuda. cuda never becomes the CPU in silence.")]
ModelOption = Annotated[str | None, typer.Option(help="A model that ships (lite), or a model folder.")]
COLOR_HELP = (
    "Whose colours: the style's, the content's own, or those of the style picture after it was matched to the content."
)
ColorOption = Annotated[ColorMode, typer.Option(help=COLOR_HELP)]
ForceOption = Annotated[bool, typer.Option("--force", "-f", help="Replace what is there.")]


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
        typer.Option(help="A camera's number, a device path, a stream address, a video or a picture. [default: 0]"),
    ] = None,
    style: StyleOption = None,
    styles: Annotated[
        Path | None, typer.Option(help="Folder of pictures to choose from; it is watched for new ones.")
    ] = None,
    strength: Annotated[
        float | None, typer.Option(help="0 (the camera as it is) to 1 (all of the style). [default: 1]")
    ] = None,
    color: Annotated[ColorMode | None, typer.Option(help=f"{COLOR_HELP} [default: style]")] = None,
    crossfade: Annotated[float | None, typer.Option(help="Seconds from style to style. [default: 0.6]")] = None,
    cycle: Annotated[float | None, typer.Option(help="Go through all styles, so many seconds each.")] = None,
    mirror: Annotated[bool | None, typer.Option("--mirror/--no-mirror", help="Left and right change places.")] = None,
    side_by_side: Annotated[
        bool | None, typer.Option("--side-by-side/--no-side-by-side", help="The camera beside its painting.")
    ] = None,
    stabilise: Annotated[
        bool | None,
        typer.Option(
            "--stabilise/--no-stabilise", help="Hold the painting still when the light changes. [default: on]"
        ),
    ] = None,
    full_screen: Annotated[bool | None, typer.Option("--full-screen/--no-full-screen", help="Fill the screen.")] = None,
    fps: Annotated[
        float | None,
        typer.Option(help="Hold this rate by painting smaller; 0: always paint at the camera's size. [default: 24]"),
    ] = None,
    size: Annotated[
        str | None, typer.Option(help="Scale frames to fit in it, such as 640x360, and stay there.")
    ] = None,
    device: DeviceOption = "auto",
    model: ModelOption = None,
    folder: Annotated[Path, typer.Option(help="Where snapshots and recordings go.")] = Path(),
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
    from .app.plan import Targets
    from .app.webcam import run_webcam
    from .settings import Settings, load_settings

    asked = Settings(
        camera=camera,
        style=style,
        styles=None if styles is None else str(styles),
        strength=strength,
        color=color,
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
    from .media.devices import run_cameras

    run_cameras(sources or [])


@app.command()
def video(
    source: Annotated[Path, typer.Argument(metavar="IN", help="A video file.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The video to write, H.264: .mp4, .mov or .mkv.")],
    style: StyleOption = None,
    strength: StrengthOption = 1.0,
    color: ColorOption = ColorMode.STYLE,
    device: DeviceOption = "auto",
    model: ModelOption = None,
    force: ForceOption = False,
) -> None:
    """Paint a video; its sound and its timing stay as they are."""
    from .convert import convert_video

    stylizer, styles = _prepare(style, strength, device, model)
    convert_video(source, output, stylizer, styles, strength, color=color, force=force, progress=True, done=print)


@app.command()
def image(
    sources: Annotated[list[Path], typer.Argument(metavar="IN...", help="Pictures, or folders of pictures.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The picture to write, or a folder for several.")],
    style: StyleOption = None,
    strength: StrengthOption = 1.0,
    color: ColorOption = ColorMode.STYLE,
    device: DeviceOption = "auto",
    model: ModelOption = None,
    force: ForceOption = False,
) -> None:
    """Paint pictures."""
    from .convert import convert_images

    stylizer, styles = _prepare(style, strength, device, model)
    convert_images(sources, output, stylizer, styles, strength, color=color, force=force, progress=True, done=print)


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
    from .app.window import show_video
    from .convert import convert_video
    from .model import package_folder

    stylizer, styles = _prepare(style, 1.0, device, model)
    clip = package_folder("assets") / "demo.mp4"
    target = output or Path("livestyle-demo.mp4")
    for result in convert_video(clip, target, stylizer, styles, force=output is None, progress=True, done=print):
        show_video(result.path)


@styles_app.command("list")
def list_styles(model: ModelOption = None) -> None:
    """Name the presets of a model."""
    from .model import Model

    for name in Model.load(model).presets():
        print(name)


def _prepare(style: str | None, strength: float, device: str, model: str | None) -> tuple[Stylizer, list[Style]]:
    """A stylizer on the device, which is said in one line, and the styles that a text names."""
    from .engine import Stylizer, check_strength
    from .styles import StyleLibrary

    # Before the model is loaded, for which nobody should wait in vain.
    check_strength(strength)
    stylizer = Stylizer(model, device)
    print(f"{stylizer.device.text}; model {stylizer.model.manifest.name}", file=sys.stderr, flush=True)
    library = StyleLibrary(stylizer)
    styles = [library.first()] if style is None else library.find(style)
    if library.encoded:
        pictures = "1 style picture" if library.encoded == 1 else f"{library.encoded} style pictures"
        print(f"{pictures} encoded; from now on the cache has them", file=sys.stderr, flush=True)
    return stylizer, styles


def main() -> None:
    """Run the command line; what a person can put right ends it with one sentence and exit code 1."""
    logging.addLevelName(logging.WARNING, "warning")
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    try:
        app()
    except LivestyleError as error:
        raise SystemExit(f"error: {error}") from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None


if __name__ == "__main__":
    main()
