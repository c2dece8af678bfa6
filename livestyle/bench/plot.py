"""Bench report as a plot: the time of a frame of every candidate, one panel a scope."""

from __future__ import annotations

from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from livestyle.errors import InputError
from livestyle.results import write_result

from .report import TITLES

if TYPE_CHECKING:
    from .report import Measurement, Report

BAR = 0.3
"""Height of a bar, in inches."""
WIDTH = 8.0


def require_matplotlib() -> None:
    """Raise an `InputError` where there is nothing to draw a plot with."""
    if find_spec("matplotlib") is None:
        raise InputError('a plot needs matplotlib: pip install "livestyle[bench]", or go without a plot')


def write_plot(report: Report, path: Path, *, replace: bool = True) -> Path:
    """Write a PNG of a report: bars to the median, whiskers from the 10th to the 90th percentile.

    The axis is logarithmic where peers make it long.

    Args:
        report: with one measurement or more.
        path: of the file.
        replace: as of `livestyle.results.write_result`.

    Returns:
        Where it is.

    Raises:
        OutputError: it cannot be written.
    """
    # Not pyplot, which looks for a screen.
    from matplotlib.figure import Figure

    scopes = list(dict.fromkeys(each.scope for each in report.measurements))
    panels = [[each for each in report.measurements if each.scope == scope] for scope in scopes]
    candidates = list(dict.fromkeys(_label(each) for each in report.measurements))
    rows = sum(len(panel) + 2 for panel in panels)
    figure = Figure(figsize=(WIDTH, 0.8 + BAR * rows), layout="constrained")
    axes = figure.subplots(len(panels), squeeze=False, height_ratios=[len(panel) + 1 for panel in panels])[:, 0]
    for axis, scope, panel in zip(axes, scopes, panels, strict=True):
        medians = [each.p50 for each in panel]
        places = range(len(panel))
        whiskers = [
            [each.p50 - each.p10 for each in panel],
            [each.p90 - each.p50 for each in panel],
        ]
        colors = [f"C{candidates.index(_label(each))}" for each in panel]
        axis.barh(places, medians, xerr=whiskers, color=colors, error_kw={"lw": 1, "capsize": 2})
        axis.set_yticks(places, [f"{_label(each)}  {each.size}" for each in panel])
        axis.invert_yaxis()
        longest = max(each.p90 for each in panel)
        if max(medians) > 20 * min(medians):
            axis.set_xscale("log")
            axis.xaxis.set_major_formatter("{x:g}")
            axis.set_xlim(min(medians) / 3, longest * 10)
        else:
            axis.set_xlim(0, longest * 1.5)
        for place, each in zip(places, panel, strict=True):
            text = f"  {each.p50:.1f} ms, {each.frames_per_second:.1f} frames/s"
            axis.annotate(text, (max(each.p50, each.p90), place), va="center", fontsize=8)
        axis.set_title(TITLES.get(scope, scope), loc="left", fontsize=10)
        axis.spines[["top", "right"]].set_visible(False)
    axes[-1].set_xlabel(
        f"milliseconds a frame, median and 10th to 90th percentile\n{report.machine.text}\n{report.text}"
    )
    axes[-1].xaxis.label.set_size(8)
    file = BytesIO()
    figure.savefig(file, format="png", dpi=150)
    return write_result(path, file.getvalue(), replace=replace)


def _label(measurement: Measurement) -> str:
    """Name of a candidate, with what tells it from others of its name."""
    return f"{measurement.candidate}, {measurement.network}"
