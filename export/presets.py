"""The presets of a model: a table of paintings (docs/presets.toml) encoded, and refined where there is the time.

    python -m export.presets weights/lite --presets docs/presets.toml --pictures PAINTINGS [--refine PHOTOS]

makes presets.json of a model folder anew, and leaves its networks as they are.
"""

from __future__ import annotations

import json
import logging
import sys
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from livestyle.engine.devices import create_session
from livestyle.engine.model import PRESETS, STYLE, Model, checksum
from livestyle.engine.style import scale_style_image
from livestyle.errors import LivestyleError
from livestyle.media.images import decode_image
from livestyle.verb import Verb
from train.data import ImageFile, find_images
from train.programs import run_program

log = logging.getLogger(__name__)

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@dataclass(frozen=True)
class Preset:
    """An entry of the table: its image, uint8 [H, W, 3] BGR, and whether it ships refined."""

    image: np.ndarray
    refined: bool


def read_presets(table: Path, files: Sequence[ImageFile]) -> dict[str, Preset]:
    """The presets of a table, by name, with images that are looked up by their files' names.

    Raises:
        LivestyleError: the table cannot be read, or an image of it is not among the files.
    """
    by_name = {Path(file.name).name: file for file in files}
    found: dict[str, Preset] = {}
    try:
        entries = [
            (entry["name"], entry["file"], bool(entry.get("refined")))
            for entry in tomllib.loads(table.read_text(encoding="utf-8"))["preset"]
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LivestyleError(f"{table} is not a table of presets with a name and a file each: {error}") from error
    for name, file, refined in entries:
        if file not in by_name:
            raise LivestyleError(f"the picture {file} of the preset {name} is in none of --pictures")
        found[name] = Preset(decode_image(by_name[file].read_bytes(), Path(file)), refined)
    return found


def write_presets(
    entries: dict[str, Preset], folder: Path, refine: Callable[[np.ndarray], np.ndarray] | None = None
) -> None:
    """Write presets.json of a model folder.

    Args:
        entries: as `read_presets` gives them.
        folder: with style.onnx, which encodes those that are not refined.
        refine: from an image to its refined statistics; None encodes all of them.
    """
    session = create_session(folder / STYLE, "cpu")

    def encode(image: np.ndarray) -> np.ndarray:
        values: np.ndarray = session.run(None, {"image": scale_style_image(image)})[0]
        return values

    if refine is None and any(entry.refined for entry in entries.values()):
        log.warning("presets that ship refined are encoded only: python -m export.presets --refine refines them")
    presets: dict[str, list[float]] = {}
    for name, entry in entries.items():
        stats = refine(entry.image) if refine is not None and entry.refined else encode(entry.image)
        presets[name] = [float(f"{value:.5g}") for value in stats]
    (folder / PRESETS).write_text(json.dumps(presets) + "\n", encoding="utf-8")


@app.command(cls=Verb)
def presets(
    model: Annotated[Path, typer.Argument(help="Model folder, whose presets are made anew.")],
    table: Annotated[Path, typer.Option("--presets", help="Table of presets, as docs/presets.toml.")],
    pictures: Annotated[
        list[Path], typer.Option(help="Folder or tar file with the images of the table; may be repeated.")
    ],
    refine: Annotated[
        list[Path] | None,
        typer.Option(
            help="Refine the presets that the table calls refined on these photographs, a folder or tar file; "
            "may be repeated."
        ),
    ] = None,
    vgg_weights: Annotated[Path | None, typer.Option(help="Loss network for --refine, as for training.")] = None,
    crop: Annotated[int, typer.Option(min=64, help="For --refine: side of the photographs' crops in pixels.")] = 192,
    batch_size: Annotated[int, typer.Option(min=1, help="For --refine: crops of a step.")] = 4,
    steps: Annotated[int, typer.Option(min=1, help="For --refine: steps for each preset.")] = 100,
) -> None:
    """Make the presets of a model folder anew."""
    loaded = Model.load(model)
    folder, manifest = loaded.folder, loaded.manifest
    entries = read_presets(table, find_images(pictures))
    if refine:
        from train.refine import Effort, Refiner

        # However long it takes: presets are made once.
        effort = Effort(crop, batch_size, steps, seconds=float("inf"))
        refiner = Refiner(folder, vgg_weights, refine, effort=effort)

        def refined(image: np.ndarray) -> np.ndarray:
            found = refiner.refine(image)
            print("style loss {:.3f} to {:.3f}, content {:.3f} to {:.3f}".format(*found.style, *found.content))
            return found.values

        write_presets(entries, folder, refined)
    else:
        write_presets(entries, folder)
    replace(manifest, files={**manifest.files, PRESETS: checksum(folder / PRESETS)}).write(folder)
    print(f"{folder / PRESETS}: {len(entries)} presets")


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code of the command line; see `run_program`."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    return run_program(app, argv)


if __name__ == "__main__":
    sys.exit(main())
