"""Command line of training: ``python -m train fit --help``."""

from __future__ import annotations

import json
import logging
import os
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
    batch_size: Annotated[
        int, typer.Option(min=1, help="Pairs of pictures an iteration, of all processes together.")
    ] = 8,
    content_weight: Annotated[float, typer.Option(help="Weight of the relu4_1 content loss.")] = 1.0,
    style_weight: Annotated[float, typer.Option(help="Weight of the style loss over four layers.")] = 5.0,
    tv_weight: Annotated[float, typer.Option(help="Weight of the total variation.")] = 0.0,
    stillness_weight: Annotated[
        float,
        typer.Option(help="Weight of the difference between a painting and that of a noisy window of the picture."),
    ] = 0.0,
    style_power: Annotated[
        float,
        typer.Option(min=0.1, max=1, help="What the style loss of each pair is raised to; below 1 for better medians."),
    ] = 1.0,
    optimizer: Annotated[
        str, typer.Option(help="muon: Muon for the frame path's convolutions and AdamW for the rest; or adamw for all.")
    ] = "muon",
    learning_rate: Annotated[float, typer.Option(min=0, help="The learning rate at its highest.")] = 1.5e-3,
    lr_decay: Annotated[
        float | None,
        typer.Option(min=0, help="Use rate / (1 + lr-decay * iteration) instead of a cosine for each stage."),
    ] = None,
    max_iter: Annotated[int, typer.Option(min=1, help="Iterations of the whole run.")] = 16000,
    save_iter: Annotated[int, typer.Option(min=1, help="Iterations between checkpoints and validations.")] = 500,
    crop: Annotated[int, typer.Option(min=64, help="Side of the content crops in pixels.")] = 128,
    style_crop: Annotated[int, typer.Option(min=64, help="Side of the style crops in pixels.")] = 160,
    pictures: Annotated[
        int, typer.Option(min=0, help="Train on so many pictures of each kind at most, chosen by --seed; 0: on all.")
    ] = 0,
    cache: Annotated[
        int,
        typer.Option(min=0, help="Keep this many crops of each picture with their features; 0: fresh crops always."),
    ] = 0,
    features: Annotated[
        Path | None, typer.Option(help="Folder for the cached features, for several runs to share; else --checkpoint.")
    ] = None,
    partial_strength: Annotated[
        float, typer.Option(min=0, max=1, help="Share of the pairs trained at a strength below 1.")
    ] = 0.15,
    stages: Annotated[
        str, typer.Option(help="Shares of the run: frame path, style encoder, both together (lite and full).")
    ] = "frame:0.5,encoder:0.25,joint:0.25",
    start_from: Annotated[
        Path | None,
        typer.Option(
            help="Begin with the weights of a checkpoint or of a model folder; full may begin with those of lite."
        ),
    ] = None,
    resume: Annotated[bool, typer.Option(help="Go on from the last checkpoint in --checkpoint.")] = False,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    devices: Annotated[
        int, typer.Option(min=1, help="GPUs of this machine to train on, or processes on the CPU; each takes its part.")
    ] = 1,
    num_nodes: Annotated[
        int, typer.Option(min=1, help="Machines, each of which torchrun starts; they share --checkpoint.")
    ] = 1,
    precision: Annotated[str, typer.Option(help="32, bf16 or 16.")] = "32",
    seed: Annotated[int, typer.Option(min=0, max=2**31, help="Of everything random.")] = 1,
    workers: Annotated[int, typer.Option(min=1, help="Threads that decode pictures.")] = 2,
) -> None:
    """Train a model; stop it when you like and go on with --resume."""
    from .fit import FitOptions, Trainer
    from .losses import LossWeights

    weights = LossWeights(content_weight, style_weight, tv_weight, stillness_weight, style_power)
    Trainer(
        FitOptions(
            arch=arch,
            content_path=content_path,
            style_path=style_path,
            checkpoint=checkpoint,
            vgg_weights=vgg_weights,
            batch_size=batch_size,
            weights=weights,
            optimizer=optimizer,
            learning_rate=learning_rate,
            lr_decay=lr_decay,
            max_iter=max_iter,
            save_iter=save_iter,
            crop=crop,
            style_crop=style_crop,
            pictures=pictures,
            cache=cache,
            features=features,
            partial_strength=partial_strength,
            stages=stages,
            start_from=start_from,
            resume=resume,
            device=device,
            devices=devices,
            num_nodes=num_nodes,
            precision=precision,
            seed=seed,
            workers=workers,
        )
    ).run()


@app.command()
def study(
    content_path: Annotated[list[Path], typer.Option(help="Folder or tar file of photographs; may be repeated.")],
    style_path: Annotated[list[Path], typer.Option(help="Folder or tar file of style pictures; may be repeated.")],
    checkpoint: Annotated[Path, typer.Option(help="Folder for the runs; what is finished there is not repeated.")],
    output: Annotated[
        Path, typer.Option("-o", "--output", help="Folder for README.md, its pictures and results.json.")
    ],
    vgg_weights: Annotated[
        Path | None, typer.Option(help="Loss network, .safetensors; without it torchvision downloads its VGG-19.")
    ] = None,
    show_content: Annotated[
        Path | None, typer.Option(help="Folder of photographs to show painted; else some that are held out.")
    ] = None,
    show_style: Annotated[
        Path | None, typer.Option(help="Folder of styles to show them in; else some that are held out.")
    ] = None,
    max_iter: Annotated[int, typer.Option(min=8, help="Iterations of the longest run, a multiple of 8.")] = 800,
    pictures: Annotated[int, typer.Option(min=2, help="Pictures of each kind at most.")] = 512,
    cache: Annotated[int, typer.Option(min=1, help="Crops of each picture, kept with their features.")] = 2,
    batch_size: Annotated[int, typer.Option(min=2, help="Pairs of pictures an iteration.")] = 4,
    crop: Annotated[int, typer.Option(min=64, help="Side of the content crops in pixels.")] = 64,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    precision: Annotated[str, typer.Option(help="32, bf16 or 16.")] = "32",
    seed: Annotated[int, typer.Option(min=0, max=2**31, help="Of everything random.")] = 1,
    workers: Annotated[int, typer.Option(min=1, help="Threads that decode pictures.")] = 2,
) -> None:
    """Answer by small runs how many iterations and pictures, which weights and which stages make a model good."""
    from .study import StudyOptions
    from .study import study as carry_out

    options = StudyOptions(
        content_path=content_path,
        style_path=style_path,
        checkpoint=checkpoint,
        vgg_weights=vgg_weights,
        show_content=show_content,
        show_style=show_style,
        max_iter=max_iter,
        pictures=pictures,
        cache=cache,
        batch_size=batch_size,
        crop=crop,
        device=device,
        precision=precision,
        seed=seed,
        workers=workers,
    )
    carry_out(options, output)


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
    models: Annotated[
        list[str],
        typer.Argument(
            help="Model folder, name of a model that ships, checkpoint, or ONNX file of another stylizer "
            "(style.onnx+stylize.onnx where it has two); several are measured side by side."
        ),
    ],
    content_path: Annotated[list[Path], typer.Option(help="Folder or tar file of content pictures; may be repeated.")],
    style_path: Annotated[list[Path], typer.Option(help="Folder or tar file of style pictures; may be repeated.")],
    vgg_weights: Annotated[
        Path | None, typer.Option(help="Loss network, .safetensors; without it torchvision downloads its VGG-19.")
    ] = None,
    every: Annotated[int, typer.Option(min=1, help="Use each picture so many, sorted by name; 1: all.")] = 2,
    lpips: Annotated[
        bool, typer.Option("--lpips", help="Measure LPIPS too; torchvision downloads its AlexNet.")
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Folder for report.json, report.md and a contact sheet of each model."),
    ] = None,
) -> None:
    """Measure models: style and content loss, structure kept, stillness, rate."""
    from .evaluate import Report, markdown
    from .evaluate import evaluate as measure

    if output is not None:
        try:
            output.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise LivestyleError(f"cannot make the folder {output}: {error.strerror or error}") from error

    def keep(reports: dict[str, Report]) -> None:
        if output is None:
            return
        figures = {
            name: {key: round(value, 4) for key, value in asdict(report).items() if value is not None}
            for name, report in reports.items()
        }
        (output / "report.json").write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
        (output / "report.md").write_text(markdown(reports), encoding="utf-8")

    reports = measure(models, content_path, style_path, vgg_weights, every, lpips=lpips, sheet=output, keep=keep)
    print(markdown(reports), end="")


def main() -> None:
    """Run the command line; a `LivestyleError` ends it with one sentence and exit code 1."""
    # Of several processes, the first speaks for all.
    first = os.environ.get("RANK", os.environ.get("LOCAL_RANK", "0")) == "0"
    logging.basicConfig(level=logging.INFO if first else logging.ERROR, format="%(message)s")
    try:
        app()
    except LivestyleError as error:
        raise SystemExit(f"error: {error}") from error
    except ModuleNotFoundError as error:
        raise SystemExit(f'error: {error.name} is not installed: pip install -e ".[train]" brings it') from error
    except KeyboardInterrupt:
        raise SystemExit(130) from None


if __name__ == "__main__":
    main()
