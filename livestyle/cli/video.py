"""The verb video."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

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
    TimedStyleOption,
    ToneMapOption,
    TrackOption,
    check_look,
    look_options,
)
from .process import silence_in_video
from .run import distribution_of, inputs_of, is_folder_of_styles, load, looks_of, open_mask, reporter

if TYPE_CHECKING:
    from livestyle.styles.library import Style, StyleLibrary
    from livestyle.styles.timeline import Timeline


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
