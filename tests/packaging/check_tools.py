"""Runs the demo from the wheel by pipx and by uv, as people do who try a program without installing it.

    python tests/packaging/check_tools.py dist/*.whl

It ends with exit code 1 at the first thing that does not work. Not a test of pytest: it fetches both tools, and all
dependencies twice.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path


def check(wheel: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "VIRTUAL_ENV", "LIVESTYLE"))}
        environment |= {
            "LIVESTYLE_CACHE": str(place / "cache"),
            "LIVESTYLE_PRESETS": str(place / "presets"),
            "PIPX_HOME": str(place / "pipx"),
            "UV_TOOL_DIR": str(place / "uv"),
        }
        # The demo shows its result where there is a display.
        environment.pop("DISPLAY", None)

        def run(*command: str | Path) -> None:
            line = " ".join(map(str, command))
            done = subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True, check=False)
            assert done.returncode == 0, f"{line} gave {done.returncode}:\n{done.stdout}{done.stderr}"
            print(f"  {line}", flush=True)

        venv.create(place / "tools", with_pip=True)
        programs = place / "tools" / ("Scripts" if sys.platform == "win32" else "bin")
        run(programs / "python", "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "pipx", "uv")
        demo = ("livestyle", "demo", "--device", "cpu", "--output")
        run(programs / "pipx", "run", "--spec", wheel, *demo, "pipx.mp4")
        run(programs / "uv", "tool", "run", "--from", wheel, *demo, "uv.mp4")
        for name in ("pipx.mp4", "uv.mp4"):
            assert (place / name).stat().st_size > 10_000, f"{name} is empty"


if __name__ == "__main__":
    check(Path(sys.argv[1]).resolve())
