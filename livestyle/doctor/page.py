"""The doctor's page: findings as text for people, or as one JSON object for scripts."""

from __future__ import annotations

import json
import platform
from collections import Counter
from collections.abc import Iterable

from livestyle import __version__

from .finding import Finding, State
from .runner import works

MARKS = {State.OK: "ok", State.NOTE: "-", State.WARNING: "!", State.BROKEN: "BROKEN"}
FORMAT = 1
"""Version of the JSON object."""


def print_page(findings: Iterable[Finding]) -> list[Finding]:
    """Print findings line by line as they come, and a last line that sums up; they come back as a list."""
    print(f"livestyle {__version__} on {platform.system()} {platform.machine()}")
    section, shown = None, list[Finding]()
    for finding in findings:
        if finding.section is not section:
            section = finding.section
            print(f"\n{section}", flush=True)
        print(f"  {MARKS[finding.state]:<6} {finding.name}: {_line(finding.text)}", flush=True)
        if finding.mend:
            print(f"           -> {_line(finding.mend)}", flush=True)
        shown.append(finding)
    print(f"\n{summary(shown)}")
    return shown


def print_json(findings: Iterable[Finding]) -> list[Finding]:
    """Print findings as one JSON object, when all are known; they come back as a list.

    Its keys: ``format``, ``version``, ``system``, ``works``, and ``findings``, whose items have ``section``, ``name``,
    ``state``, ``text``, ``mend`` and ``figures``.
    """
    shown = list(findings)
    page = {
        "format": FORMAT,
        "version": __version__,
        "system": f"{platform.system()} {platform.machine()}",
        "works": works(shown),
        "findings": [
            {
                "section": str(finding.section),
                "name": finding.name,
                "state": str(finding.state),
                "text": finding.text,
                "mend": finding.mend,
                "figures": dict(finding.figures),
            }
            for finding in shown
        ],
    }
    print(json.dumps(page, indent=1))
    return shown


def summary(findings: Iterable[Finding]) -> str:
    """The page's last line."""
    counts = Counter(finding.state for finding in findings)
    broken, warnings = counts[State.BROKEN], counts[State.WARNING]
    optional = f"; {warnings} optional thing{'s do' if warnings != 1 else ' does'} not (!)" if warnings else ""
    if broken:
        return (
            f"{broken} thing{'s' if broken != 1 else ''} that livestyle needs {'are' if broken != 1 else 'is'} broken"
        )
    return f"all that livestyle needs works{optional}"


def _line(text: str) -> str:
    """One line: what drivers say may have several, or control characters of a terminal."""
    return "".join(c if c.isprintable() else " " for c in text)
