"""Reports: what is measured, the JSON file, the plot, and comparisons of two of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import pytest

import livestyle
from livestyle.bench import plot, runner
from livestyle.bench.plan import LEAST_RUNS, Plan, Scope
from livestyle.bench.plot import write_plot
from livestyle.bench.programs import run_program
from livestyle.bench.report import Report
from livestyle.bench.runner import run_bench
from livestyle.bench.table import write_markdown
from tests.program import IDENTITY
from tests.program import livestyle as run

QUICK = ("bench", "engine", "--model", IDENTITY, "--size", "96x64", "--seconds", "0.01")


@pytest.fixture
def files(engine_report: Report, tmp_path: Path) -> Callable[..., list[Path]]:
    """Writes that report and a changed one, as two files."""

    def write(**changes: Any) -> list[Path]:
        paths = [tmp_path / "a.json", tmp_path / "b.json"]
        for report, path in zip((engine_report, replace(engine_report, **changes)), paths, strict=True):
            report.write(path)
        return paths

    return write


def test_every_scope_is_measured(quick_plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "run_in_child", run_program)
    said: list[str] = []
    report = run_bench(quick_plan, said.append)
    assert [each.scope for each in report.measurements] == list(Scope)
    assert said == ["loading the models", *(f"measuring {scope} at 96x64" for scope in Scope)]
    for each in report.measurements:
        assert (each.candidate, each.device, each.precision, each.size) == ("identity", "cpu", "float32", "96x64")
        assert each.runs >= LEAST_RUNS
        assert 0 < each.p10 <= each.p50 <= each.p90 <= each.p99
        assert each.frames_per_second > 0
        # It has no convolutions.
        assert (each.gmac, each.share) == (None, None)
    assert report.measurements[0].peak_mib is None


def test_the_shipped_models_share_of_the_ceiling_is_told() -> None:
    plan = Plan((Scope.ENGINE,), sizes=((64, 64),), devices=("cpu", "auto", "cpu-float32"), threads=1, seconds=0.01)
    report = run_bench(plan)
    by_precision = {each.precision: each for each in report.measurements}
    assert by_precision.keys() == report.ceilings.keys() == {"int8", "float32"}
    for precision, each in by_precision.items():
        assert each.gmac is not None
        assert each.share == pytest.approx(each.gmac * each.frames_per_second / report.ceilings[precision], rel=0.1)


def test_candidates_of_a_program_run_back_and_forth(quick_plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    runs: list[Any] = []

    def record(each: Any) -> Any:
        runs.append(each)
        return run_program(each)

    monkeypatch.setattr(runner, "run_in_child", record)
    plan = replace(quick_plan, scopes=(Scope.LIVE,), devices=("cpu", "cpu-float32"))
    report = run_bench(plan)
    assert [each.device for each in runs] == ["cpu", "cpu-float32", "cpu-float32", "cpu"]
    assert [each.runs >= 2 * LEAST_RUNS for each in report.measurements] == [True, True]


def test_the_json_file_says_what_was_measured_where(tmp_path: Path) -> None:
    path = tmp_path / "bench.json"
    result = run(*QUICK, "--threads", "1", "--json", path)
    assert result.returncode == 0, result.stderr
    content = json.loads(path.read_text())
    assert content["livestyle"] == livestyle.__version__
    assert content["settings"]["threads"] == 1
    assert content["machine"]["cpu"]
    assert content["onnxruntime"]
    assert content["date"].endswith("+00:00")
    (row,) = content["measurements"]
    assert row["form"]
    assert Report.read(path).machine.text in result.stdout


def test_a_result_is_not_replaced_unless_it_is_forced(tmp_path: Path) -> None:
    path = tmp_path / "bench.json"
    path.write_text("mine")
    result = run(*QUICK, "--json", path)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.endswith("already exists: choose another name, or replace it (--force)\n")
    assert run(*QUICK, "--json", path, "--force").returncode == 0
    assert Report.read(path).measurements


def test_a_table_in_markdown_has_a_row_for_each_measurement(engine_report: Report, tmp_path: Path) -> None:
    row = replace(engine_report.measurements[0], candidate="a|b", p50=12.34, frames_per_second=81.0, share=0.5)
    write_markdown(replace(engine_report, measurements=[row, replace(row, scope="live")]), tmp_path / "bench.md")
    lines = (tmp_path / "bench.md").read_text().splitlines()
    rows = [line.removeprefix("| ").removesuffix(" |").split(" | ") for line in lines if line.startswith("|")]
    assert [len(cells) for cells in rows] == [10] * 6
    assert rows[2][0] == rows[5][0] == "a&#124;b"
    assert (rows[2][4], rows[2][7], rows[2][9]) == ("12.3", "81.0", "50%")
    assert any(line.startswith("**live:") for line in lines)


def test_a_plot_shows_every_scope(engine_report: Report, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    one = engine_report.measurements[0]
    slow = replace(one, candidate="peer", p10=90.0, p50=100.0, p90=110.0)
    heights = []
    for measurements in ([one], [one, slow, replace(one, scope="live")]):
        write_plot(replace(engine_report, measurements=measurements), tmp_path / "bench.png")
        image = cv2.imread(str(tmp_path / "bench.png"))
        assert image is not None
        heights.append(image.shape[0])
    assert heights[0] < heights[1]


def test_a_plot_without_matplotlib_is_refused_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plot, "find_spec", lambda _: None)
    result = run(*QUICK, "--plot", tmp_path / "bench.png")
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith('error: a plot needs matplotlib: pip install "livestyle[bench]"')
    assert result.stderr.count("\n") == 1


def test_two_results_are_compared(engine_report: Report, files: Callable[..., list[Path]]) -> None:
    one = engine_report.measurements[0]
    paths = files(measurements=[replace(one, p50=one.p50 / 2, frames_per_second=2 * one.frames_per_second)])
    result = run("bench", "--compare", *paths)
    assert result.returncode == 0, result.stderr
    assert "2.00     2.00" in result.stdout
    assert all(str(path) in result.stdout for path in paths)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"machine": {"cpu": "another"}}, "since they are of different machines: "),
        ({"settings": {"threads": 99}}, "since their settings differ: threads "),
        ({"measurements": {"size": "64x64"}}, "since they have no candidate in one scope and size in common"),
    ],
)
def test_results_that_cannot_be_compared_are_refused(
    engine_report: Report, files: Callable[..., list[Path]], changes: dict[str, dict[str, Any]], reason: str
) -> None:
    ((name, fields),) = changes.items()
    old = getattr(engine_report, name)
    paths = files(
        **{name: [replace(each, **fields) for each in old] if name == "measurements" else replace(old, **fields)}
    )
    result = run("bench", "--compare", *paths)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith(f"error: {paths[0]} and {paths[1]} cannot be compared, {reason}")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 99}', '{"format": 1, "machine": {"cpu": 1}}'])
def test_a_file_that_is_no_result_is_refused(files: Callable[..., list[Path]], text: str) -> None:
    paths = files()
    paths[1].write_text(text)
    result = run("bench", "--compare", *paths)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith(f"error: {paths[1]} is no result of livestyle bench that can be read (")


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--threads", "0"), "the number of threads is between 1 and 1024, not 0"),
        (("--seconds", "0"), "the seconds of a candidate are above 0 and up to 3600, not 0"),
        (("--seconds", "nan"), "the seconds of a candidate are above 0 and up to 3600, not nan"),
        (("--size", "huge"), "'huge' is not a size: give width x height"),
        (("--device", "gpu"), "there is no device 'gpu': choose "),
        (("--model", "none"), "there is no model 'none': give a folder"),
        (("--json", "bench.txt"), "cannot write bench.txt: end the name with .json"),
    ],
)
def test_wrong_options_are_one_sentence(options: tuple[str, str], reason: str) -> None:
    result = run("bench", *options)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith(f"error: {reason}")
    assert result.stderr.count("\n") == 1


def test_peers_without_the_engine_are_refused() -> None:
    result = run("bench", "video", "--peer", "peer.onnx")
    assert result.returncode == 1
    assert result.stderr.startswith("error: peers are measured as engines only")
