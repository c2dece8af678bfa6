"""Process of its own for one run of a program, so that the peak memory of several runs does not add up."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

from livestyle.errors import LivestyleError

from .programs import ProgramResult, ProgramRun, run_program


def run_in_child(run: ProgramRun) -> ProgramResult:
    """Outcome of a program that runs in a process of its own; on Ctrl-C that process ends too.

    Raises:
        LivestyleError: the model, the device or a file cannot be used, or the process died.
    """
    # The same livestyle as this one, wherever it was imported from.
    paths = [str(Path(__file__).parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])]
    with subprocess.Popen(
        [sys.executable, "-P", "-m", __name__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
    ) as process:
        try:
            out, err = process.communicate(json.dumps(asdict(run)))
        except BaseException:
            # Unlike subprocess.run, wait for its end: its files are deleted next.
            process.kill()
            process.wait()
            raise
    try:
        answer = json.loads(out.splitlines()[-1])
    except (ValueError, IndexError):
        last = (err.strip().splitlines() or ["it said nothing"])[-1]
        raise LivestyleError(
            f"the run of {run.scope} ended without a result (exit code {process.returncode}: {last})"
        ) from None
    if "error" in answer:
        raise LivestyleError(answer["error"])
    return ProgramResult(**answer)


def main() -> int:
    """Run the program that standard input describes, and print its outcome as a line of JSON; the exit code."""
    try:
        print(json.dumps(asdict(run_program(ProgramRun(**json.load(sys.stdin))))))
    except LivestyleError as error:
        print(json.dumps({"error": str(error)}))
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    # A camera's thread may be inside FFmpeg, see livestyle.cli.main.run_program.
    os._exit(code)
