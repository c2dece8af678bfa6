"""The command line in this process: as fast as a function call, with what it prints."""

from __future__ import annotations

import io
import logging
import os
from contextlib import chdir, redirect_stderr, redirect_stdout
from pathlib import Path
from subprocess import CompletedProcess
from unittest.mock import patch

from livestyle.cli.main import main

IDENTITY = Path(__file__).parent / "models" / "identity"
"""For ``--model``: a model of a few kB that is loaded and paints in no time, see tests/models/make_identity.py."""


def livestyle(*arguments: object, cwd: Path | None = None, env: dict[str, str] | None = None) -> CompletedProcess[str]:
    """What ``livestyle ARGUMENTS`` prints and its exit code; warnings of the log come on stderr, as in the program.

    Args:
        arguments: of the command line.
        cwd: the folder to run in; None is this one.
        env: more of the environment.
    """
    line = [str(argument) for argument in arguments]
    out, err = io.StringIO(), io.StringIO()
    handler = logging.StreamHandler(err)
    handler.setFormatter(logging.Formatter("warning: %(message)s"))
    handler.setLevel(logging.WARNING)
    log = logging.getLogger("livestyle")
    log.addHandler(handler)
    try:
        with redirect_stdout(out), redirect_stderr(err), chdir(cwd or "."), patch.dict(os.environ, env or {}):
            code = main(line)
    finally:
        log.removeHandler(handler)
    return CompletedProcess(line, code, out.getvalue(), err.getvalue())
