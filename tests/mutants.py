"""Would the tests notice? ``python -m tests.mutants PART [--most N] [--seed S]``; `make mutants` takes all parts.

Changes the code of a part in many small ways (mutmut), one at a time, and runs the tests that reach the changed
function: what all of them pass is a survivor. Works on a copy in ``mutants/``; ``mutmut show NAME`` says what was
changed.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path

COPY = Path("mutants")
PARTS = {
    "render": "livestyle/render",
    "engine": "livestyle/engine",
    "styles": "livestyle/styles",
    "resume": "livestyle/jobs/resume.py",
}
TOO_SLOW = -24, -9, 24, 36, 152, 255
"""Exit codes of tests that took too long: an endless loop, or a busy machine, so that nothing is known."""
KINDS = {0: "survived", 33: "untested", None: "not run"} | dict.fromkeys(TOO_SLOW, "too slow")
"""Of exit codes; with any other a test has failed or crashed."""


def outcomes(part: str) -> dict[str, int | None]:
    """Names of a part's mutants, and the exit codes of their tests."""
    place = COPY / PARTS[part]
    files = sorted(place.rglob("*.py.meta")) if place.is_dir() else [place.with_suffix(".py.meta")]
    found: dict[str, int | None] = {}
    for file in files:
        found |= json.loads(file.read_text())["exit_code_by_key"]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("--most", type=int, default=150, help="Number of mutants, which are drawn at random.")
    parser.add_argument("--seed", type=int, default=23)
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    arguments = parser.parse_args()
    from mutmut.__main__ import create_mutants

    create_mutants(arguments.processes)
    names = sorted(outcomes(arguments.part))
    drawn = random.Random(arguments.seed).sample(names, min(arguments.most, len(names)))
    line = [sys.executable, "-m", "mutmut", "run", "--max-children", str(arguments.processes), *drawn]
    # The tests' subprocesses take the copy too.
    subprocess.run(line, check=True, env=os.environ | {"PYTHONPATH": str(COPY.resolve())})
    kinds = {name: KINDS.get(code, "caught") for name, code in outcomes(arguments.part).items()}
    print(f"{arguments.part}: {len(drawn)} of {len(names)} mutants, {dict(Counter(kinds[name] for name in drawn))}")
    for name in sorted(drawn):
        if kinds[name] != "caught":
            print(f"  {name}: {kinds[name]}")


if __name__ == "__main__":
    main()
