"""Sheets to compare stylizers by eye: one for each content, with a row for each style and a column for each stylizer.

    python docs/compare_models.py lite full MICROAST_STYLE.onnx+MICROAST.onnx ADAIN.onnx \\
        --content-path PHOTOS --style-path PAINTINGS --vgg-weights VGG.safetensors --blind 7 -o SHEETS

takes eight contents and eight styles, evenly spaced by name. With --blind the columns of each row are shuffled and have
letters in place of names; SHEETS/key.json says afterwards which is which. With --overview 150, SHEETS/overview.jpg
holds all rows, reduced.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageOps

from livestyle.errors import LivestyleError
from train.adapters import find_adapter
from train.data import ImageFile, find_images
from train.evaluate import prepare
from train.vgg import LossNetwork

LINE = 18
"""Height of a line of text in pixels."""


def spread(files: list[ImageFile], count: int, names: str | None) -> list[ImageFile]:
    """The files whose names are given, with commas, or ``count`` files at even distances."""
    files = sorted(files, key=lambda file: file.name)
    if names:
        by_name = {Path(file.name).stem: file for file in files}
        missing = [name for name in names.split(",") if name not in by_name]
        if missing:
            raise LivestyleError(f"there are no pictures {', '.join(missing)}")
        return [by_name[name] for name in names.split(",")]
    return [files[int(place)] for place in np.linspace(0, len(files) - 1, min(count, len(files)))]


def tile(image: np.ndarray, text: str, side: int) -> Image.Image:
    """An image in a square of ``side`` pixels, uncropped, with a line of text under it."""
    square = ImageOps.pad(Image.fromarray(image), (side, side), color="white")
    framed = Image.new("RGB", (side, side + LINE), "white")
    framed.paste(square)
    ImageDraw.Draw(framed).text((2, side + 2), text, fill="black")
    return framed


def join(rows: list[list[Image.Image]]) -> Image.Image:
    """Tiles of one size, row by row."""
    width, height = rows[0][0].size
    sheet = Image.new("RGB", (width * len(rows[0]), height * len(rows)), "white")
    for y, row in enumerate(rows):
        for x, each in enumerate(row):
            sheet.paste(each, (x * width, y * height))
    return sheet


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", help="as for python -m train evaluate")
    parser.add_argument("--content-path", type=Path, action="append", required=True)
    parser.add_argument("--style-path", type=Path, action="append", required=True)
    parser.add_argument("--vgg-weights", type=Path)
    parser.add_argument("--contents", help="names of contents, with commas, without suffixes")
    parser.add_argument("--styles", help="the same for styles")
    parser.add_argument("--count", type=int, default=8, help="of contents and of styles where none are named")
    parser.add_argument("--side", type=int, default=512, help="short side of the contents in pixels")
    parser.add_argument("--blind", type=int, metavar="SEED", help="shuffle the columns of each row and hide the names")
    parser.add_argument(
        "--overview", type=int, metavar="SIDE", help="one more sheet, of all rows in tiles of so many pixels"
    )
    parser.add_argument("-o", "--output", type=Path, required=True)
    asked = parser.parse_args()
    network = LossNetwork(asked.vgg_weights)
    adapters = [find_adapter(text, network) for text in asked.models]
    contents = spread(find_images(asked.content_path), asked.count, asked.contents)
    styles = spread(find_images(asked.style_path), asked.count, asked.styles)
    asked.output.mkdir(parents=True, exist_ok=True)
    paintings = [prepare(style) for style in styles]
    codes = [[adapter.encode(painting) for painting in paintings] for adapter in adapters]
    shuffle = random.Random(asked.blind)
    key: dict[str, list[list[str]]] = {}
    reduced: list[list[Image.Image]] = []
    for file in contents:
        content = prepare(file, asked.side)
        rows: list[list[Image.Image]] = []
        order_of_rows: list[list[str]] = []
        for number, painting in enumerate(paintings):
            order = list(range(len(adapters)))
            if asked.blind is not None:
                shuffle.shuffle(order)
            order_of_rows.append([adapters[index].name for index in order])
            pictures = [(content, Path(file.name).stem), (painting, f"style {number + 1}")]
            for place, index in enumerate(order):
                stylized = adapters[index].stylize(content, codes[index][number])
                text = f"{number + 1}{'ABCDEFGH'[place]}" if asked.blind is not None else adapters[index].name
                pictures.append((stylized, text))
            rows.append([tile(image, text, asked.side) for image, text in pictures])
            if asked.overview:
                reduced.append([tile(image, text, asked.overview) for image, text in pictures])
        name = Path(file.name).stem
        key[name] = order_of_rows
        join(rows).save(asked.output / f"{name}.jpg", quality=90)
        (asked.output / "key.json").write_text(json.dumps(key, indent=1) + "\n", encoding="utf-8")
        print(asked.output / f"{name}.jpg", flush=True)
    if reduced:
        join(reduced).save(asked.output / "overview.jpg", quality=85)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except LivestyleError as error:
        sys.exit(f"error: {error}")
