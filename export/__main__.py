"""Command line of the export: ``python -m export CHECKPOINT -o weights/NAME``."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

import typer

from livestyle.errors import LivestyleError


def export(
    checkpoint: Annotated[Path, typer.Argument(help="Checkpoint, its folder, or a model's .safetensors file.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Model folder to write.")],
    pictures: Annotated[
        list[Path] | None,
        typer.Option(help="Folder or tar file of real pictures to compare on; may be repeated."),
    ] = None,
    presets: Annotated[
        Path | None, typer.Option(help="Table of presets; their pictures are found in --pictures.")
    ] = None,
    metrics: Annotated[
        Path | None, typer.Option(help="report.json of python -m train evaluate, for the manifest.")
    ] = None,
) -> None:
    """Write a model folder, unless onnxruntime's output differs from PyTorch's."""
    from .package import export_model

    parity = export_model(checkpoint, output, pictures or [], presets, metrics)
    print(
        f"{output}: onnxruntime's bytes are at most {parity.largest} from PyTorch's; "
        f"float16 {parity.fp16_psnr:.1f} dB from float32"
        + (f", 8-bit integers {parity.int8_psnr:.1f} dB" if parity.has_int8 else "")
    )


def main() -> None:
    """Run the command line; a `LivestyleError` ends it with one sentence and exit code 1."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    try:
        app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
        app.command()(export)
        app()
    except LivestyleError as error:
        raise SystemExit(f"error: {error}") from error
    except ModuleNotFoundError as error:
        raise SystemExit(f'error: {error.name} is not installed: pip install -e ".[train]" brings it') from error


if __name__ == "__main__":
    main()
