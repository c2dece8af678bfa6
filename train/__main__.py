"""Command line of training: ``python -m train fit --help``."""

from __future__ import annotations

import json
import logging
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from livestyle.errors import LivestyleError

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@app.callback()
def training() -> None:
    """Train livestyle's networks."""


@app.command()
def fit(
    content_path: Annotated[list[Path], typer.Option(help="Folder or tar file of photographs; may be repeated.")],
    style_path: Annotated[list[Path], typer.Option(help="Folder or tar file of style pictures; may be repeated.")],
    checkpoint: Annotated[Path, typer.Option(help="Folder for checkpoints and TensorBoard logs.")],
    arch: Annotated[str, typer.Option(help="lite, full or classic.")] = "lite",
    vgg_weights: Annotated[
        Path | None, typer.Option(help="Loss network, .safetensors; without it torchvision downloads its VGG-19.")
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Pairs of pictures an iteration.")] = 8,
    content_weight: Annotated[float, typer.Option(help="Weight of the relu4_1 content loss.")] = 1.0,
    style_weight: Annotated[float, typer.Option(help="Weight of the style loss over four layers.")] = 5.0,
    tv_weight: Annotated[float, typer.Option(help="Weight of the total variation.")] = 0.0,
    stillness_weight: Annotated[
        float, typer.Option(help="Weight of the difference between outputs for shifted, noisy copies.")
    ] = 0.0,
    learning_rate: Annotated[float, typer.Option(help="Adam's learning rate at its highest.")] = 1.5e-3,
    lr_decay: Annotated[
        float | None, typer.Option(help="Use rate / (1 + lr-decay * iteration) instead of a cosine for each stage.")
    ] = None,
    max_iter: Annotated[int, typer.Option(min=1, help="Iterations of the whole run.")] = 16000,
    save_iter: Annotated[int, typer.Option(min=1, help="Iterations between checkpoints and validations.")] = 500,
    crop: Annotated[int, typer.Option(min=64, help="Side of the content crops in pixels.")] = 128,
    style_crop: Annotated[int, typer.Option(min=64, help="Side of the style crops in pixels.")] = 160,
    cache: Annotated[
        int,
        typer.Option(min=0, help="Keep this many crops of each picture with their features; 0: fresh crops always."),
    ] = 0,
    partial_strength: Annotated[
        float, typer.Option(min=0, max=1, help="Share of the pairs trained at a strength below 1.")
    ] = 0.15,
    stages: Annotated[
        str, typer.Option(help="Shares of the run: frame path, style encoder, both together (lite and full).")
    ] = "frame:0.5,encoder:0.25,joint:0.25",
    start_from: Annotated[
        Path | None, typer.Option(help="Begin with the weights of a checkpoint or of a model folder.")
    ] = None,
    resume: Annotated[bool, typer.Option(help="Go on from the last checkpoint in --checkpoint.")] = False,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    precision: Annotated[str, typer.Option(help="32, bf16 or 16.")] = "32",
    seed: Annotated[int, typer.Option(min=0, help="Of everything random.")] = 1,
    workers: Annotated[int, typer.Option(min=1, help="Threads that decode pictures.")] = 2,
) -> None:
    """Train a model; stop it when you like and go on with --resume."""
    from .fit import FitOptions, Trainer
    from .losses import LossWeights

    weights = LossWeights(content_weight, style_weight, tv_weight, stillness_weight)
    Trainer(
        FitOptions(
            arch=arch,
            content_path=content_path,
            style_path=style_path,
            checkpoint=checkpoint,
            vgg_weights=vgg_weights,
            batch_size=batch_size,
            weights=weights,
            learning_rate=learning_rate,
            lr_decay=lr_decay,
            max_iter=max_iter,
            save_iter=save_iter,
            crop=crop,
            style_crop=style_crop,
            cache=cache,
            partial_strength=partial_strength,
            stages=stages,
            start_from=start_from,
            resume=resume,
            device=device,
            precision=precision,
            seed=seed,
            workers=workers,
        )
    ).run()


@app.command()
def average(
    first: Annotated[Path, typer.Argument(help="A checkpoint.")],
    second: Annotated[Path, typer.Argument(help="A later one of the same run.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The checkpoint to write.")],
    share: Annotated[float, typer.Option(min=0, max=1, help="Share of the second.")] = 0.5,
) -> None:
    """Write the weighted mean of two checkpoints of one run, to choose between content and style after training."""
    from .fit import average_checkpoints, save_checkpoint

    save_checkpoint(output, average_checkpoints(first, second, share))


@app.command()
def evaluate(
    model: Annotated[str, typer.Argument(help="Model folder, or the name of a model that ships.")],
    content_path: Annotated[list[Path], typer.Option(help="Folder or tar file of content pictures; may be repeated.")],
    style_path: Annotated[list[Path], typer.Option(help="Folder or tar file of style pictures; may be repeated.")],
    vgg_weights: Annotated[
        Path | None, typer.Option(help="Loss network, .safetensors; without it torchvision downloads its VGG-19.")
    ] = None,
    every: Annotated[int, typer.Option(min=1, help="Use each picture so many, sorted by name; 1: all.")] = 2,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Write the figures there too, as JSON.")] = None,
) -> None:
    """Measure a model: style and content loss, structure kept, stillness."""
    from .evaluate import evaluate as measure

    if output is not None and not output.parent.is_dir():
        raise LivestyleError(f"cannot write {output}: there is no folder {output.parent}")
    report = asdict(measure(model, content_path, style_path, vgg_weights, every))
    text = json.dumps({name: round(value, 4) for name, value in report.items()}, indent=2)
    print(text)
    if output is not None:
        output.write_text(text + "\n", encoding="utf-8")


def main() -> None:
    """Run the command line; a `LivestyleError` ends it with one sentence and exit code 1."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        app()
    except LivestyleError as error:
        raise SystemExit(f"error: {error}") from error
    except KeyboardInterrupt:
        raise SystemExit(130) from None


if __name__ == "__main__":
    main()
