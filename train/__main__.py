"""Command line of training: ``python -m train fit --help``."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Annotated

import typer

from livestyle.errors import LivestyleError
from livestyle.verb import Group, Verb

from .programs import run_program

STILLNESS_WEIGHT = 20.0
"""As in the runs from nothing of docs/probes; without it, what is painted flickers."""

app = typer.Typer(cls=Group, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)

# Options that several commands share.
Contents = Annotated[list[Path], typer.Option(help="Folder or tar file of photographs; may be repeated.")]
Styles = Annotated[list[Path], typer.Option(help="Folder or tar file of style images; may be repeated.")]
VggWeights = Annotated[
    Path | None, typer.Option(help="Loss network, .safetensors; without it torchvision downloads its VGG-19.")
]
Crop = Annotated[int, typer.Option(min=64, help="Side of the content crops in pixels.")]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
Precision = Annotated[str, typer.Option(help="32, bf16 or 16.")]
Seed = Annotated[int, typer.Option(min=0, max=2**31, help="Seed of all random choices.")]
Workers = Annotated[int, typer.Option(min=1, help="Threads that decode images.")]


@app.callback()
def training() -> None:
    """Train livestyle's networks."""


@app.command(cls=Verb)
def fit(
    content_path: Contents,
    style_path: Styles,
    checkpoint: Annotated[Path, typer.Option(help="Folder for checkpoints and TensorBoard logs.")],
    arch: Annotated[
        str,
        typer.Option(
            help="lite, full or classic; lite-deep, lite with a style head of two layers, to go on from lite; "
            "lite2 and full2, the second design, which does not ship yet; "
            "tiny, for tests and first tries, trains in seconds."
        ),
    ] = "lite",
    vgg_weights: VggWeights = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Image pairs per iteration, of all processes together.")] = 8,
    content_weight: Annotated[float, typer.Option(help="Weight of the relu4_1 content loss.")] = 1.0,
    style_weight: Annotated[float, typer.Option(help="Weight of the style loss over four layers.")] = 5.0,
    tv_weight: Annotated[float, typer.Option(help="Weight of the total variation.")] = 0.0,
    stillness_weight: Annotated[
        float | None,
        typer.Option(
            help="Weight of the difference between a stylized image and a stylized noisy window of the image; "
            f"without it {STILLNESS_WEIGHT:g}, and 0 for classic, whose paper has no such loss."
        ),
    ] = None,
    style_power: Annotated[
        float,
        typer.Option(min=0.1, max=1, help="Exponent of the style loss of each pair; below 1 for better medians."),
    ] = 1.0,
    style_octaves: Annotated[
        int, typer.Option(min=1, max=3, help="Style loss at so many sizes, each half of the one before.")
    ] = 1,
    balanced_style: Annotated[
        bool, typer.Option("--balanced-style", help="Divide each style loss by the scale of its style.")
    ] = False,
    normalized_content: Annotated[
        bool, typer.Option("--normalized-content", help="Content loss on features with normalised channels.")
    ] = False,
    identity_weight: Annotated[
        float, typer.Option(min=0, help="Weight of the difference from an image that is stylized by itself.")
    ] = 0.0,
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
    crop: Crop = 128,
    style_crop: Annotated[int, typer.Option(min=64, help="Side of the style crops in pixels.")] = 160,
    pictures: Annotated[
        int, typer.Option(min=0, help="Train on at most so many images of each kind, chosen by --seed; 0: on all.")
    ] = 0,
    cache: Annotated[
        int,
        typer.Option(min=0, help="Keep so many crops of each image with their features; 0: fresh crops always."),
    ] = 0,
    features: Annotated[
        Path | None, typer.Option(help="Folder for the cached features, for several runs to share; else --checkpoint.")
    ] = None,
    partial_strength: Annotated[
        float, typer.Option(min=0, max=1, help="Share of the pairs trained at a strength below 1.")
    ] = 0.15,
    stages: Annotated[
        str,
        typer.Option(
            help="Shares of the run: frame path, style encoder, both together; or the frame path with a style encoder "
            "that stays (frozen), or as a teacher paints (distill). All but classic."
        ),
    ] = "frame:0.5,encoder:0.25,joint:0.25",
    start_from: Annotated[
        Path | None,
        typer.Option(
            help="Start from the weights of a checkpoint or a model folder; "
            "a larger architecture may start from a smaller one (Net2Net)."
        ),
    ] = None,
    encoder_from: Annotated[
        Path | None,
        typer.Option(
            help="Start with the style encoder of a checkpoint or a model folder, for the stages frozen and distill."
        ),
    ] = None,
    teacher: Annotated[
        Path | None, typer.Option(help="Checkpoint or model folder whose outputs the stage distill learns.")
    ] = None,
    resume: Annotated[bool, typer.Option(help="Go on from the last checkpoint in --checkpoint.")] = False,
    device: Device = "auto",
    devices: Annotated[
        int,
        typer.Option(min=1, help="GPUs of this machine to train on, or processes on the CPU; each takes its share."),
    ] = 1,
    num_nodes: Annotated[
        int, typer.Option(min=1, help="Machines, each of which torchrun starts; they share --checkpoint.")
    ] = 1,
    precision: Precision = "32",
    seed: Seed = 1,
    workers: Workers = 2,
) -> None:
    """Train a model; stop it when you like and go on with --resume."""
    # Parameters are named as the fields of TrainingOptions and LossWeights.
    given = dict(locals())
    if stillness_weight is None:
        given["stillness_weight"] = 0.0 if arch == "classic" else STILLNESS_WEIGHT
    from .losses import LossWeights
    from .options import TrainingOptions
    from .trainer import Trainer

    weights = LossWeights(**{
        field.name: given.pop(field.name if field.name in given else f"{field.name}_weight")
        for field in fields(LossWeights)
    })  # fmt: skip
    Trainer(TrainingOptions(**given, weights=weights)).run()


@app.command(cls=Verb)
def study(
    content_path: Contents,
    style_path: Styles,
    checkpoint: Annotated[Path, typer.Option(help="Folder for the runs; those that are finished are not repeated.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for README.md, its figures and results.json.")],
    arch: Annotated[str, typer.Option(help="lite, full or tiny.")] = "lite",
    vgg_weights: VggWeights = None,
    show_content: Annotated[
        Path | None, typer.Option(help="Folder of photographs to show stylized; else some that are held out.")
    ] = None,
    show_style: Annotated[
        Path | None, typer.Option(help="Folder of styles to show them in; else some that are held out.")
    ] = None,
    max_iter: Annotated[int, typer.Option(min=8, help="Iterations of the longest run, a multiple of 8.")] = 800,
    pictures: Annotated[int, typer.Option(min=2, help="Images of each kind at most.")] = 512,
    cache: Annotated[int, typer.Option(min=1, help="Crops of each image, kept with their features.")] = 2,
    batch_size: Annotated[int, typer.Option(min=2, help="Image pairs per iteration.")] = 4,
    crop: Crop = 64,
    device: Device = "auto",
    precision: Precision = "32",
    seed: Seed = 1,
    workers: Workers = 2,
) -> None:
    """Answer by small runs how many iterations and images, which weights and which stages make a model good."""
    # Parameters are named as the fields of StudyOptions.
    given = dict(locals())
    from .study_report import write_report
    from .study_runs import ShownPairs, StudyOptions, carry_out, plan_study

    given.pop("output")
    options = StudyOptions(**given)
    questions, shown = plan_study(options), ShownPairs.find(options)
    _make_folder(output)
    write_report(options, carry_out(questions, options.checkpoint, shown), shown, output)


@app.command(cls=Verb)
def average(
    first: Annotated[Path, typer.Argument(help="A checkpoint.")],
    second: Annotated[Path, typer.Argument(help="A later one of the same run.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The checkpoint to write.")],
    share: Annotated[float, typer.Option(min=0, max=1, help="Weight of the second.")] = 0.5,
) -> None:
    """Write the weighted mean of two checkpoints of one run, to choose between content and style after training."""
    from .checkpoints import average_checkpoints, save_checkpoint

    save_checkpoint(output, average_checkpoints(first, second, share))


@app.command(cls=Verb)
def probe(
    runs: Annotated[
        list[Path], typer.Argument(help="Folders of runs, checkpoints or model folders; the first is the reference.")
    ],
    content_path: Contents,
    style_path: Styles,
    vgg_weights: VggWeights = None,
    every: Annotated[int, typer.Option(min=1, help="Use every n-th image, sorted by name; 1: all.")] = 3,
    side: Annotated[int, typer.Option(min=64, help="Short side of the images in pixels.")] = 256,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Folder for probes.json and probes.md, the table.")
    ] = None,
) -> None:
    """Compare short runs on the same pairs: losses, stability, cost, and how far chance goes."""
    from .probe import markdown
    from .probe import probe as measure

    probes = measure(runs, content_path, style_path, vgg_weights, every=every, side=side)
    table = markdown(probes)
    if output is not None:
        _make_folder(output)
        figures = {name: asdict(found) for name, found in probes.items()}
        (output / "probes.json").write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
        (output / "probes.md").write_text(table, encoding="utf-8")
    print(table, end="")


@app.command(cls=Verb)
def evaluate(
    models: Annotated[
        list[str],
        typer.Argument(
            help="Model folder, name of a model that ships, checkpoint, or ONNX file of another stylizer "
            "(style.onnx+stylize.onnx where it has two); several are measured side by side."
        ),
    ],
    content_path: Contents,
    style_path: Styles,
    vgg_weights: VggWeights = None,
    every: Annotated[int, typer.Option(min=1, help="Use every n-th image, sorted by name; 1: all.")] = 2,
    style_every: Annotated[int | None, typer.Option(min=1, help="The same for styles, where it differs.")] = None,
    lpips: Annotated[
        bool, typer.Option("--lpips", help="Measure LPIPS too; torchvision downloads its AlexNet.")
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Folder for report.json, report.md and a contact sheet of each model."),
    ] = None,
) -> None:
    """Measure models: style and content loss, SSIM, temporal stability, rate."""
    from .evaluate import Report, markdown
    from .evaluate import evaluate as measure

    if output is not None:
        _make_folder(output)

    def keep(reports: dict[str, Report]) -> None:
        if output is None:
            return
        figures = {
            name: {key: round(value, 4) for key, value in asdict(report).items() if value is not None}
            for name, report in reports.items()
        }
        (output / "report.json").write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
        (output / "report.md").write_text(markdown(reports), encoding="utf-8")

    reports = measure(
        models,
        content_path,
        style_path,
        vgg_weights,
        every,
        style_every=style_every,
        lpips=lpips,
        sheet=output,
        keep=keep,
    )
    print(markdown(reports), end="")


@app.command(cls=Verb)
def refine(
    model: Annotated[Path, typer.Argument(help="Model folder.")],
    picture: Annotated[Path, typer.Argument(help="Style image.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="JSON file for the statistics and the losses.")],
    contents: Annotated[
        list[Path] | None,
        typer.Option(help="Folder or tar file of photographs to refine on; may be repeated. Else the bundled clip."),
    ] = None,
    vgg_weights: VggWeights = None,
    device: Device = "auto",
) -> None:
    """Optimise the statistics of one style against the losses, for a better painting than the encoder's."""
    from rich.console import Console
    from rich.progress import Progress

    from livestyle.files import atomic_write
    from livestyle.media.images import read_image

    from .refine import Refiner

    with Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task(f"refining {picture.stem}", total=1)
        image = read_image(picture)
        refiner = Refiner(model, vgg_weights, contents or [], device)
        found = refiner.refine(image, lambda share: progress.update(task, completed=share))
    content = {"values": found.values.tolist(), "style": found.style, "content": found.content}
    with atomic_write(output) as file:
        file.write(json.dumps(content).encode())


@app.command(cls=Verb)
def forms(
    models: Annotated[list[str], typer.Argument(help="Model folders, or names of models that ship.")],
    content_path: Contents,
    style_path: Styles,
    vgg_weights: VggWeights = None,
    every: Annotated[int, typer.Option(min=1, help="Use every n-th image, sorted by name; 1: all.")] = 2,
) -> None:
    """Compare the losses of the two forms of the 8-bit network, computed and constant, on noisy stills."""
    from .forms import compare_forms, table

    print(table(compare_forms(models, content_path, style_path, vgg_weights, every)), end="")


def _make_folder(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LivestyleError(f"cannot make the folder {path}: {error.strerror or error}") from error


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code of the command line; see `run_program`."""
    # Of several processes, only the first reports.
    is_first = os.environ.get("RANK", os.environ.get("LOCAL_RANK", "0")) == "0"
    logging.basicConfig(level=logging.INFO if is_first else logging.ERROR, format="%(message)s")
    return run_program(app, argv)


if __name__ == "__main__":
    sys.exit(main())
