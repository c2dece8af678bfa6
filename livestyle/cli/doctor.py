"""The verb ``livestyle doctor``."""

from __future__ import annotations

from typing import Annotated

import typer

from livestyle.doctor.finding import Section

from .options import DeviceOption, ModelOption


def doctor(
    sections: Annotated[
        list[Section] | None,
        typer.Argument(
            metavar="SECTION",
            help=f"What to examine: {', '.join(Section)}. Without any, all of it.",
        ),
    ] = None,
    cameras: Annotated[
        bool, typer.Option("--cameras", help="Open each camera and measure its rates, which takes seconds each.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object, for scripts.")] = False,
    device: DeviceOption = "auto",
    model: ModelOption = None,
) -> None:
    """Say on one page what this machine can do, and what mends the rest; exit code 1 where it cannot paint."""
    from livestyle.doctor.page import print_json, print_page
    from livestyle.doctor.runner import Plan, examine, works

    findings = examine(Plan(tuple(sections or ()), model, device, cameras))
    if not works(print_json(findings) if as_json else print_page(findings)):
        raise typer.Exit(1)
