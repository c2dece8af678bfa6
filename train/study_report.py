"""The report of a study: text, tables, curves and contact sheets."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from .batches import VALIDATION_BATCHES
from .evaluate import THUMBNAIL_SIDE, thumbnail
from .study_runs import STAGED, TOGETHER, UNJOINED, USUAL_WEIGHT, Answers, Point, Result, ShownPairs, StudyOptions

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LABEL_HEIGHT = 24
JPEG_QUALITY = 85


def write_report(options: StudyOptions, answers: Answers, shown: ShownPairs, output: Path) -> None:
    """Write README.md, its figures and results.json into a folder.

    Args:
        options: of the study.
        answers: the results of its runs.
        shown: the pairs that the runs stylized.
        output: the folder.
    """
    command = f"{options.command()} -o {output.name}"
    sections = [
        _introduction(command, answers["iterations"]),
        _iterations(answers["iterations"], shown, output),
        _pictures(answers["pictures"], shown, output),
        _weights(answers["weights"], shown, output),
        _stages(answers["stages"], shown, output),
    ]
    (output / "README.md").write_text("\n".join(sections), encoding="utf-8")
    figures = {
        question: {label: [_figures(point) for point in result.points] for label, result in results.items()}
        for question, results in answers.items()
    }
    content = {"command": command, **figures}
    (output / "results.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def _figures(point: Point) -> dict[str, float]:
    figures: dict[str, float] = {"iteration": point.iteration}
    for name, losses in (("held-out", point.held_out), ("training", point.training)):
        if losses is not None:
            figures |= {f"{name} content": round(losses.content, 3), f"{name} style": round(losses.style, 3)}
    return figures


def _introduction(command: str, results: dict[str, Result]) -> str:
    base = list(results.values())[-1].run.options
    pairs = VALIDATION_BATCHES * base.batch_size
    lines = command.replace(" --", " \\\n    --")
    return f"""# What makes a model good

Measured on small models of the architecture `{base.arch}`, trained by this command, which also wrote this page:

```sh
{lines}
```

The scale is small, so that anyone can repeat it: content crops of {base.crop} px, style crops of {base.style_crop} px,
{base.cache} cached of each picture, batches of {base.batch_size} and, where nothing else is said,
{base.max_iter} iterations on {base.pictures} photographs and {base.pictures} style pictures. Larger crops, other
pictures and longer runs give other figures: see `--max-iter`, `--pictures` and `--crop`.

Content is the mean squared difference of VGG-19's relu4_1, style that of channel means and deviations over four layers,
and "sum" is content + {USUAL_WEIGHT:g} x style. All are of the moving average of the weights, at full strength:
held-out losses on {pairs} pairs of crops of pictures that no model is trained on, training losses on {pairs} pairs that
the model is trained on, whose styles also have their colour channels exchanged half of the time. Each setting ran once,
with one seed, so small differences say nothing. All figures are in [results.json](results.json).
"""


def _iterations(results: dict[str, Result], shown: ShownPairs, output: Path) -> str:
    ends = [result.end for result in results.values()]
    with _plot(output / "iterations.svg", "iterations of the run", "held-out loss") as axes:
        steps = [point.iteration for point in ends]
        axes.plot(steps, [point.held_out.content for point in ends], marker="o", label="content")
        axes.plot(steps, [point.held_out.style for point in ends], marker="o", label="style")
        axes.set_xscale("log", base=2)
        axes.set_xticks(steps, [str(step) for step in steps])
        axes.legend()
    _sheet(output / "iterations.jpg", shown, {label: result.thumbnails() for label, result in results.items()})
    changes = [
        f"from {first.iteration} to {second.iteration} iterations by {_change(first, second)}"
        for first, second in pairwise(ends)
    ]
    return f"""## How many iterations

Each row is a run of its own, whose learning rate falls towards its end. Only the frame path is trained, on VGG-19's
statistics of the style picture.

{_table(["iterations", "content", "style", "sum"], [[str(p.iteration), *_losses(p)] for p in ends])}
The held-out sum changes {", ".join(changes)}.

![held-out losses by the iterations of the run](iterations.svg)

![pictures painted after so many iterations](iterations.jpg)
"""


def _pictures(results: dict[str, Result], shown: ShownPairs, output: Path) -> str:
    rows: list[list[str]] = []
    sentences: list[str] = []
    with _plot(output / "pictures.svg", "iteration", "sum") as axes:
        for index, (label, result) in enumerate(results.items()):
            points = result.points
            steps = [point.iteration for point in points]
            held_out = [point.held_out.total for point in points]
            training = [point.training.total for point in points if point.training is not None]
            axes.plot(steps, held_out, marker="o", color=f"C{index}", label=f"{label}, held out")
            axes.plot(steps, training, "--", color=f"C{index}", label=f"{label}, training")
            best = min(points, key=lambda point: point.held_out.total)
            figures = [training[-1], held_out[-1], held_out[-1] - training[-1], best.held_out.total]
            rows.append([label, *(f"{value:.2f}" for value in figures), str(best.iteration)])
            middle = len(points) // 2 - 1
            changes = [f"{values[-1] / values[middle] - 1:+.1%}" for values in (training, held_out)]
            sentences.append(
                f"* {label} pictures: from iteration {steps[middle]} to {steps[-1]} the training sum changes by "
                f"{changes[0]}, the held-out sum by {changes[1]}."
            )
        axes.legend(fontsize="small", ncols=2)
    _sheet(output / "pictures.jpg", shown, {f"{label} pictures": r.thumbnails() for label, r in results.items()})
    heads = [
        "pictures of each kind",
        "training sum",
        "held-out sum",
        "difference",
        "lowest held-out sum",
        "after iterations",
    ]
    return f"""## How many pictures, and when over-fitting begins

So many photographs and as many style pictures; a smaller choice is a part of a larger one, and the held-out pictures
are always the same. Over-fitting begins where the training sum goes on falling and the held-out sum no longer follows
or even rises.

{_table(heads, rows)}
{chr(10).join(sentences)}

![held-out and training sum by iteration, for each number of pictures](pictures.svg)

![pictures painted after training on so many](pictures.jpg)
"""


def _weights(results: dict[str, Result], shown: ShownPairs, output: Path) -> str:
    ends = {label: result.end for label, result in results.items()}
    with _plot(output / "weights.svg", "held-out style loss", "held-out content loss") as axes:
        places = [(point.held_out.style, point.held_out.content) for point in ends.values()]
        axes.plot(*zip(*places, strict=True), marker="o")
        for label, place in zip(ends, places, strict=True):
            axes.annotate(label, place, textcoords="offset points", xytext=(6, 6))
    _sheet(output / "weights.jpg", shown, {f"style weight {label}": r.thumbnails() for label, r in results.items()})
    (low, first), *_, (high, last) = ends.items()
    return f"""## Content against style weight

Runs of {first.iteration} iterations of the frame path alone. The content weight is 1.

{_table(["style weight", "content", "style"], [[label, *_losses(point)[:2]] for label, point in ends.items()])}
From style weight {low} to {high}, the held-out content loss goes from {first.held_out.content:.2f} to
{last.held_out.content:.2f} and the style loss from {first.held_out.style:.2f} to {last.held_out.style:.2f}.

![content loss over style loss, for each style weight](weights.svg)

![pictures painted with each style weight](weights.jpg)
"""


def _stages(results: dict[str, Result], shown: ShownPairs, output: Path) -> str:
    staged = results[STAGED]
    frame, encoder, joint = staged.points
    unjoined, together = results[UNJOINED].end, results[TOGETHER].end
    rows = {
        "after frame": (STAGED, "VGG-19's statistics", frame),
        "after encoder": (STAGED, "style encoder", encoder),
        "after joint": (STAGED, "style encoder", joint),
        "no joint": (UNJOINED, "style encoder", unjoined),
        "joint alone": (TOGETHER, "style encoder", together),
    }
    with _plot(output / "stages.svg", "", "held-out loss") as axes:
        places = np.arange(len(rows))
        axes.bar(places - 0.2, [point.held_out.content for *_, point in rows.values()], 0.4, label="content")
        axes.bar(places + 0.2, [point.held_out.style for *_, point in rows.values()], 0.4, label="style")
        axes.set_xticks(places, list(rows))
        axes.legend()
    strips = {label: staged.thumbnails(rows[label][2].iteration) for label in list(rows)[:3]}
    strips |= {"no joint": results[UNJOINED].thumbnails(), "joint alone": results[TOGETHER].thumbnails()}
    _sheet(output / "stages.jpg", shown, strips)
    lines = [
        [label, f"`{stages}`", str(point.iteration), reader, *_losses(point)]
        for label, (stages, reader, point) in rows.items()
    ]
    return f"""## What each stage bought

`frame` trains the frame path on VGG-19's statistics of the style picture, `encoder` a style encoder that takes their
place, `joint` both together. The last two rows spend the same iterations in other ways.

{_table(["", "`--stages`", "iterations", "style read by", "content", "style", "sum"], lines)}
With the style encoder in place of VGG-19's statistics the held-out sum differs by {_change(frame, encoder)}; the joint
stage changes it by {_change(encoder, joint)} from there, to {joint.held_out.total:.2f}. Without a joint stage, and with
its iterations given to the frame path, it ends at {unjoined.held_out.total:.2f}; with all parts trained together from
the start, at {together.held_out.total:.2f}.

![held-out losses after each stage](stages.svg)

![pictures painted after each stage](stages.jpg)
"""


def _losses(point: Point) -> list[str]:
    return [f"{value:.3f}" for value in (*point.held_out, point.held_out.total)]


def _change(first: Point, second: Point) -> str:
    return f"{second.held_out.total / first.held_out.total - 1:+.1%}"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


@contextmanager
def _plot(path: Path, across: str, up: str) -> Iterator[Axes]:
    """Axes to draw on, which are then written as an SVG file, reproducibly."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context({"svg.hashsalt": path.name}):
        figure = Figure(figsize=(7, 4), layout="constrained")
        axes = figure.add_subplot()
        axes.set_xlabel(across)
        axes.set_ylabel(up)
        axes.grid(alpha=0.3)
        yield axes
        figure.savefig(path, metadata={"Date": None})


def _sheet(path: Path, shown: ShownPairs, strips: dict[str, np.ndarray]) -> None:
    """Write a contact sheet: a column of contents, one of styles, then a labelled column for each strip."""
    columns = {
        "content": np.vstack([thumbnail(image) for image in shown.contents]),
        "style": np.vstack([thumbnail(image) for image in shown.styles]),
        **strips,
    }
    pixels = np.hstack(list(columns.values()))
    sheet = Image.new("RGB", (pixels.shape[1], pixels.shape[0] + LABEL_HEIGHT), "white")
    sheet.paste(Image.fromarray(pixels), (0, LABEL_HEIGHT))
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    for number, label in enumerate(columns):
        middle = (number * THUMBNAIL_SIDE + THUMBNAIL_SIDE // 2, LABEL_HEIGHT // 2)
        draw.text(middle, label, "black", font, anchor="mm")
    sheet.save(path, quality=JPEG_QUALITY)
