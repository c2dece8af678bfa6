"""The verbs of ``livestyle styles``."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from livestyle.text import escaped
from livestyle.verb import Group, Verb

from .completion import complete_own_preset, complete_style
from .options import BackgroundOption, DeviceOption, ForceOption, MaskOption, ModelOption, check_look, look_options
from .run import inputs_of, load, open_mask

if TYPE_CHECKING:
    from livestyle.engine.stylizer import Stylizer
    from livestyle.styles.library import StyleLibrary

styles_app = typer.Typer(cls=Group, no_args_is_help=True, help="What styles there are, and presets of your own.")


@styles_app.command("list", cls=Verb)
def list_styles(
    model: ModelOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="A JSON list, with the files of your own pictures.")] = False,
) -> None:
    """Name all presets, each on a line with a tab and where it is from: the model's name, or own."""
    import json

    from livestyle.engine.model import Model
    from livestyle.styles.presets import PresetFolder

    loaded, own = Model.load(model), PresetFolder().images()
    names = {**dict.fromkeys(loaded.presets()), **own}
    if as_json:
        rows = [{"name": name, "own": name in own, "picture": path and str(path)} for name, path in names.items()]
        print(json.dumps(rows, indent=2))
        return
    for name in names:
        print(f"{escaped(name)}\t{'own' if name in own else loaded.manifest.name}")


@styles_app.command(cls=Verb)
@look_options(without=("side_by_side", "stabilise"))
def preview(
    picture: Annotated[Path, typer.Argument(metavar="PICTURE", help="What is painted.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The picture to write.")],
    style: Annotated[
        list[str] | None,
        typer.Option(
            "--style",
            "-s",
            metavar="STYLE",
            autocompletion=complete_style,
            help="As for other verbs, and as often as you like. Without it, all presets.",
        ),
    ] = None,
    look: Any = None,
    mask: MaskOption = None,
    background: BackgroundOption = None,
    device: DeviceOption = "auto",
    model: ModelOption = None,
    force: ForceOption = False,
) -> None:
    """Paint one picture in all styles, on one sheet with their names."""
    from rich.console import Console
    from rich.progress import track

    from livestyle.jobs.contact_sheet import contact_sheet
    from livestyle.jobs.paths import check_taken, check_target
    from livestyle.media.images import WRITABLE, encode_image, read_reduced
    from livestyle.render.look import Look
    from livestyle.results import write_result
    from livestyle.styles.matching import check_matching
    from livestyle.styles.regions import find_background

    check_look(look)
    check_target(output, WRITABLE, "sheet.png")
    styles_read = [read for text in style or () for read in inputs_of(model, text)]
    check_taken([output], [picture], force, [*styles_read, *inputs_of(model, None, background, mask)])
    opened = open_mask(mask, background)
    image = read_reduced(picture)
    stylizer, library = load(model, device)
    styles = [found for text in style for found in library.find(text)] if style else list(library.presets.values())
    behind = find_background(background, library.find)
    first = Look(styles[0] if styles else library.first(), mask=opened, background=behind, **look)
    for each in styles:
        check_matching(replace(first, style=each))
    console = Console(stderr=True)
    shown = track(styles, "painting", console=console, transient=True, disable=not console.is_terminal)
    sheet = contact_sheet(image, picture.name, shown, first, stylizer)
    written = write_result(output, encode_image(output, sheet), replace=force)
    print(
        f"{escaped(written)}: {sheet.shape[1]}x{sheet.shape[0]}, {len(styles)} style{'s' if len(styles) != 1 else ''}"
    )


@styles_app.command(cls=Verb)
def add(
    picture: Annotated[Path, typer.Argument(metavar="PICTURE", help="A copy of it is kept.")],
    name: Annotated[str | None, typer.Option(help="Of the preset; without it, that of the file.")] = None,
    refine: Annotated[
        bool,
        typer.Option(
            "--refine",
            help="Optimise the style for two minutes, for the one model. Needs the extra train of a checkout.",
        ),
    ] = False,
    contents: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FOLDER", help="With --refine: folder of your own photographs to refine on. May be repeated."
        ),
    ] = None,
    vgg_weights: Annotated[
        Path | None,
        typer.Option(help="With --refine: the loss network. Without it, torchvision downloads its VGG-19 (550 MB)."),
    ] = None,
    model: ModelOption = None,
    force: ForceOption = False,
) -> None:
    """Make a picture a preset of your own, which every verb takes as --style NAME."""
    from livestyle.errors import InputError
    from livestyle.jobs.paths import check_taken
    from livestyle.media.images import read_reduced
    from livestyle.styles.presets import PresetFolder

    from .refine import check_refining, refine_preset

    if refine:
        check_refining(contents or [], vgg_weights)
    elif contents or vgg_weights:
        raise InputError("photographs and a loss network are for refining a style", setting="refine")
    name = picture.stem if name is None else name
    check_taken([PresetFolder().folder / f"{name}.png"], [picture], force=True)
    stylizer, library = _open_library(model)
    image, shipped = read_reduced(picture), list(stylizer.model.presets())
    path = PresetFolder().add(name, image, shipped=shipped, force=force)
    _say_ready(library, [path.stem])
    if refine:
        refine_preset(path, stylizer.model, contents or [], vgg_weights)


@styles_app.command(cls=Verb)
def remove(
    names: Annotated[
        list[str], typer.Argument(metavar="NAME", autocompletion=complete_own_preset, help="Presets of your own.")
    ],
) -> None:
    """Delete presets of your own."""
    from livestyle.styles.presets import PresetFolder

    PresetFolder().remove(names)
    print(f"removed {escaped(', '.join(names))}")


@styles_app.command("export", cls=Verb)
def export_presets(
    output: Annotated[Path, typer.Option("--output", "-o", help="The .livestyle file to write.")],
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NAME",
            autocompletion=complete_own_preset,
            help="Presets of your own; without any, all of them.",
        ),
    ] = None,
    force: ForceOption = False,
) -> None:
    """Write presets of your own to one file, pictures included, for another machine or another person."""
    from livestyle.jobs.paths import check_taken, check_target
    from livestyle.styles.presets import SUFFIX, PresetFolder
    from livestyle.styles.refined import refined_path

    check_target(output, [SUFFIX], f"presets{SUFFIX}")
    check_taken([output], [], force, inputs_of(None))
    folder = PresetFolder()
    path, written = folder.write_file(names or [], output, replace=force)
    print(escaped(f"{path}: {', '.join(written)}"))
    images = folder.images()
    refined = [name for name in written if name in images and refined_path(images[name]).is_file()]
    if refined:
        text = f"warning: the pictures are in it, what was refined is not: {', '.join(refined)}"
        print(escaped(text), file=sys.stderr)


@styles_app.command("import", cls=Verb)
def import_presets(
    source: Annotated[Path, typer.Argument(metavar="FILE", help="A .livestyle file.")],
    model: ModelOption = None,
    force: ForceOption = False,
) -> None:
    """Take in the presets of a file that livestyle styles export has written."""
    from livestyle.styles.presets import PresetFolder

    stylizer, library = _open_library(model)
    shipped = list(stylizer.model.presets())
    _say_ready(library, PresetFolder().read_file(source, shipped=shipped, force=force))


def _open_library(model: str | None) -> tuple[Stylizer, StyleLibrary]:
    """A model that encodes on the CPU, and its styles."""
    from livestyle.engine.stylizer import Stylizer
    from livestyle.styles.library import StyleLibrary

    stylizer = Stylizer(model, "cpu")
    return stylizer, StyleLibrary(stylizer)


def _say_ready(library: StyleLibrary, names: list[str]) -> None:
    """Encode new presets now, so that nobody waits for it in front of a camera."""
    for name in names:
        library.find(name)
        print(f"added {escaped(name)}")
