"""Installs the wheel as a user does, on each Python that is named, and runs the program outside the checkout.

    python tests/packaging/check_wheel.py dist/*.whl PYTHON...

It ends with exit code 1 at the first thing that does not work. Not a test of pytest: it fetches all dependencies.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from time import perf_counter

ROOT = Path(__file__).parents[2]
MOST_BYTES = 35_000_000


def check_contents(wheel: Path) -> None:
    """The size, and what must be in the wheel and what must not."""
    names = zipfile.ZipFile(wheel).namelist()
    assert wheel.stat().st_size < MOST_BYTES, f"{wheel} has {wheel.stat().st_size} bytes"
    for name in (
        "weights/lite/stylize.int8.onnx",
        "weights/full/stylize.onnx",
        "web/dist/index.html",
        "assets/demo.mp4",
    ):
        assert f"livestyle/{name}" in names, f"{wheel} lacks {name}"
    strangers = {name.split("/")[0] for name in names if not name.startswith(("livestyle/", "livestyle-"))}
    assert not strangers, f"{wheel} installs {', '.join(strangers)} beside livestyle"


def check(wheel: Path, python: str) -> None:
    """An installation in an empty environment, and the README's first commands there."""
    started = perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "VIRTUAL_ENV", "LIVESTYLE"))}
        environment |= {"LIVESTYLE_CACHE": str(place / "cache"), "LIVESTYLE_PRESETS": str(place / "presets")}

        def run(*command: str | Path) -> str:
            line = " ".join(map(str, command))
            done = subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True, check=False)
            assert done.returncode == 0, f"{line} gave {done.returncode}:\n{done.stdout}{done.stderr}"
            print(f"  {line}", flush=True)
            return done.stdout

        run(python, "-m", "venv", place / "venv")
        programs = place / "venv" / ("Scripts" if sys.platform == "win32" else "bin")
        # Nothing is compiled.
        install = ("-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--only-binary", ":all:")
        run(programs / "python", *install, wheel)
        home = run(programs / "python", "-c", "import livestyle; print(livestyle.__file__)")
        assert Path(home.strip()).is_relative_to(place.resolve()), f"livestyle was imported from {home}"
        program = programs / "livestyle"
        run(program, "--version")
        run(program, "demo", "--output", "demo.mp4", "--device", "cpu")
        clip = Path(home.strip()).parent / "assets" / "demo.mp4"
        first = f"import cv2; cv2.imwrite('photo.jpg', cv2.VideoCapture({str(clip)!r}).read()[1])"
        run(programs / "python", "-c", first)
        run(program, "image", "photo.jpg", "-o", "painted.png", "--style", "scream")
        for name, *arguments in (("photo", "photo.jpg", "example.png"), ("film", str(clip), "film.mp4")):
            run(programs / "python", ROOT / "examples" / f"{name}.py", *arguments)
        for name in ("demo.mp4", "painted.png", "example.png", "film.mp4"):
            assert (place / name).stat().st_size > 10_000, f"{name} is empty"
    print(f"{python}: {perf_counter() - started:.0f} s", flush=True)


if __name__ == "__main__":
    built, *pythons = sys.argv[1:]
    check_contents(Path(built).resolve())
    for each in pythons:
        check(Path(built).resolve(), each)
