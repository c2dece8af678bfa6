"""The verbs of cameras: webcam and cameras."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from livestyle.errors import InputError

from .options import BackgroundOption, DeviceOption, InsecureOption, ModelOption, StyleOption, look_options


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


def cameras(
    sources: Annotated[
        list[str] | None, typer.Argument(metavar="CAMERA", help="Measure these; without any, all that are found.")
    ] = None,
    insecure: InsecureOption = False,
) -> None:
    """List the cameras with their sizes and the rates that they really give."""
    from livestyle.media.capture.probe import run_cameras

    run_cameras(sources or [], insecure=insecure)
