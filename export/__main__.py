"""Command line of the export: ``python -m export CHECKPOINT -o weights/NAME``."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from livestyle.verb import Verb
from train.programs import run_program

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command(cls=Verb)
def export(
    checkpoint: Annotated[
        Path,
        typer.Argument(help="Checkpoint, its folder, a model's .safetensors file, or pytorch-AdaIN's decoder.pth."),
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="Model folder to write.")],
    pictures: Annotated[
        list[Path] | None,
        typer.Option(help="Folder or tar file of real images to compare on; may be repeated."),
    ] = None,
    presets: Annotated[
        Path | None, typer.Option(help="Table of presets; their images are found in --pictures.")
    ] = None,
    metrics: Annotated[
        Path | None, typer.Option(help="report.json of python -m train evaluate, for the manifest.")
    ] = None,
    vgg: Annotated[
        Path | None, typer.Option(help="The encoder of decoder.pth: pytorch-AdaIN's vgg_normalised.pth.")
    ] = None,
) -> None:
    """Write a model folder, unless onnxruntime's output differs from PyTorch's."""
    from .package import export_model

    parity = export_model(checkpoint, output, pictures or [], presets, metrics, vgg)
    print(
        f"{output}: onnxruntime's bytes are at most {parity.largest} from PyTorch's; "
        f"float16 {parity.fp16_psnr:.1f} dB from float32"
        + (f", 8-bit integers {parity.int8_psnr:.1f} dB" if parity.has_int8 else "")
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code of the command line; see `run_program`."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    return run_program(app, argv)


if __name__ == "__main__":
    sys.exit(main())
