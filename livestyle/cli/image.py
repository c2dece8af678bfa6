"""The verb image."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from .options import (
    BackgroundOption,
    BitsOption,
    DeviceOption,
    DryRunOption,
    ForceOption,
    JobsOption,
    JsonOption,
    MaskOption,
    ModelOption,
    QuietOption,
    RayOption,
    RayStorageOption,
    SizeOption,
    StyleOption,
    check_look,
    look_options,
)
from .run import distribution_of, inputs_of, is_folder_of_styles, load, looks_of, open_mask, reporter


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
