"""The reference of the command line, which is written from the command line itself."""

from __future__ import annotations

import runpy
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"


def test_the_reference_says_what_the_command_line_takes() -> None:
    written = (DOCS / "reference" / "cli.md").read_text("utf-8")
    current = runpy.run_path(str(DOCS / "make_cli_reference.py"))["reference"]()
    assert written == current, "run python docs/make_cli_reference.py"


def test_the_reference_of_the_api_has_all_that_is_public() -> None:
    import livestyle

    text = (DOCS / "reference" / "api.md").read_text("utf-8")
    listed = {line.rpartition(".")[2] for line in text.splitlines() if line.startswith("::: ")}
    assert listed == set(livestyle.__all__) - {"__version__"}
