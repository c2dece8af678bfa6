"""The verb ``livestyle bench``."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from livestyle.bench.plan import SECONDS, SIZES, Plan, Scope
from livestyle.engine.model import DEFAULT_MODEL

from .completion import complete_device, complete_model
from .options import ForceOption
from .run import inputs_of

T = TypeVar("T")


def bench(
    scopes: Annotated[
        list[Scope] | None,
        typer.Argument(metavar="SCOPE", help=f"What to measure: {', '.join(Scope)}. Without any, all three."),
    ] = None,
    size: Annotated[
        list[str] | None,
        typer.Option(metavar="WxH", help="Frames of this size; repeatable. (default: 320x180, 640x360, 1280x720)"),
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(
            metavar="MODEL",
            autocompletion=complete_model,
            help="A model that ships (lite, full), or a model folder; repeatable. (default: lite)",
        ),
    ] = None,
    device: Annotated[
        list[str] | None,
        typer.Option(
            metavar="DEVICE",
            autocompletion=complete_device,
            help="As --device of the other verbs takes it; repeatable. (default: auto)",
        ),
    ] = None,
    threads: Annotated[int | None, typer.Option(help="Of the CPU. (default: every core)")] = None,
    peer: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE.onnx[+STYLE.onnx]",
            help="A foreign stylizer, float32 [1, 3, height, width] in RGB, measured as an engine on the CPU; "
            "repeatable. The second network gives what the first one takes of a style; without it, random numbers do.",
        ),
    ] = None,
    seconds: Annotated[
        float, typer.Option(help="For each candidate after its warm-up; 20 frames are measured all the same.")
    ] = SECONDS,
    json: Annotated[Path | None, typer.Option(metavar="FILE.json", help="Write the results to this file.")] = None,
    table: Annotated[
        Path | None, typer.Option(metavar="FILE.md", help="Write the tables to this file, in Markdown.")
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE.png", help="Draw the results; this needs matplotlib.")
    ] = None,
    compare: Annotated[
        tuple[Path, Path] | None,
        typer.Option(metavar="A.json B.json", help="Measure nothing, and print how much faster B is than A."),
    ] = None,
    force: ForceOption = False,
) -> None:
    """Measure how fast livestyle is on this machine: its engine, a video and the live loop, beside peers."""
    from rich.console import Console
    from rich.progress import Progress

    from livestyle.bench.plot import require_matplotlib, write_plot
    from livestyle.bench.report import Report
    from livestyle.bench.runner import run_bench
    from livestyle.bench.table import print_comparison, print_report, write_markdown
    from livestyle.jobs.paths import check_taken, check_target
    from livestyle.media.resize import parse_size

    if compare is not None:
        first, second = compare
        print_comparison(Report.read(first), Report.read(second), (str(first), str(second)))
        return
    sizes = [parse_size(text) for text in size or ()]
    plan = Plan(
        scopes=_each_once(scopes, tuple(Scope)),
        sizes=_each_once(sizes, SIZES),
        models=_each_once(model, (DEFAULT_MODEL,)),
        devices=_each_once(device, ("auto",)),
        threads=threads,
        peers=_each_once(peer, ()),
        seconds=seconds,
    )
    targets = [(json, ".json"), (table, ".md"), (plot, ".png")]
    for target, suffix in targets:
        if target is not None:
            check_target(target, [suffix], f"bench{suffix}")
    inputs = [read for name in plan.models for read in inputs_of(name)]
    inputs += [("a peer", Path(name)) for spec in plan.peers for name in (spec, *spec.split("+"))]
    check_taken([target for target, _ in targets if target is not None], [], force, inputs)
    if plot is not None:
        require_matplotlib()
    console, begun = Console(stderr=True), count()
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bars:
        # Each step is told of when it begins: the models, then each size of each scope.
        task = bars.add_task("starting", total=1 + len(plan.scopes) * len(plan.sizes))
        report = run_bench(plan, lambda text: bars.update(task, description=text, completed=next(begun)))
    print_report(report)
    if json is not None:
        report.write(json, replace=force)
    if table is not None:
        write_markdown(report, table, replace=force)
    if plot is not None:
        write_plot(report, plot, replace=force)


def _each_once(values: Sequence[T] | None, default: tuple[T, ...]) -> tuple[T, ...]:
    """Values of a repeatable option, without duplicates."""
    return tuple(dict.fromkeys(values)) if values else default
