"""A film whose process is killed with SIGKILL at random moments and resumed, until it is complete."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from hashlib import sha256
from pathlib import Path

from tests.program import IDENTITY

FRAMES = 150
TARGETS = ("out.mp4", "out.mov", "f_%03d.png")
"""Not Matroska, in which every file has a random number."""
LATE = 0.3
"""Share of the kills that fall into the end of a run, where the file is completed and gets its name."""

PROGRAM = """if True:
    import sys, time
    import livestyle.jobs.resume
    from livestyle.cli.main import run_program
    from livestyle.engine.stylizer import Stylizer

    livestyle.jobs.resume.SEGMENT_FRAMES = 20
    paint, begun = Stylizer.stylize, False

    def stylize(self, *arguments, **options):
        global begun
        if not begun:
            begun = True
            print("begun", flush=True)
        time.sleep(0.004)
        return paint(self, *arguments, **options)

    Stylizer.stylize = stylize
    run_program()
"""


class Film:
    """A film to paint in a folder of its own.

    Args:
        folder: is made, with the source in it.
        source: is copied, with the time of its last change, by which it is known again.
        target: name of the result.
    """

    def __init__(self, folder: Path, source: Path, target: str) -> None:
        folder.mkdir()
        shutil.copy2(source, folder)
        self.folder, self._source, self._target = folder, source.name, target

    def run(self, kill_after: float | None = None, resume: bool = True) -> float | None:
        """Seconds from the first painting to the end; None where it was killed, after so many of them."""
        words = ["video", self._source, "-o", self._target, "--model", str(IDENTITY), "--device", "cpu"]
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, *words, *["--resume"] * resume],
            cwd=self.folder,
            env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert process.stdout is not None
        process.stdout.readline()
        begun = time.monotonic()
        try:
            process.wait(kill_after)
        except subprocess.TimeoutExpired:
            process.kill()
        _, errors = process.communicate()
        if process.returncode not in (0, -9):
            raise AssertionError(f"exit code {process.returncode}: {errors.decode()}")
        return None if process.returncode else time.monotonic() - begun

    def state(self) -> dict[str, str]:
        """Hash of each result by its name, and the names of hidden files, with nothing."""
        found = {}
        for path in sorted(self.folder.iterdir()):
            if path.name != self._source:
                found[path.name] = "" if path.name[0] == "." else sha256(path.read_bytes()).hexdigest()
        return found


def kill(times: int, seed: int = 0) -> bool:
    """Whether the films that were killed so many times came out as undisturbed ones; prints what was found."""
    chance, counts, failures = random.Random(seed), Counter[str](), 0
    with tempfile.TemporaryDirectory() as place:
        source = Path(place) / "film.mp4"
        lavfi = ("-f", "lavfi", "-i", f"testsrc2=size=96x64:rate=50:duration={FRAMES / 50}")
        sound = ("-f", "lavfi", "-i", f"sine=duration={FRAMES / 50}", "-c:a", "aac")
        encoding = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p")
        subprocess.run(["ffmpeg", "-v", "error", *lavfi, *sound, *encoding, str(source)], check=True)
        whole, seconds = {}, {}
        for number, target in enumerate(TARGETS):
            film = Film(Path(place) / f"whole{number}", source, target)
            seconds[target] = film.run(resume=False) or 1.0
            whole[target] = film.state()
        number = 0
        while sum(counts.values()) < times:
            number += 1
            target = chance.choice(TARGETS)
            film = Film(Path(place) / f"film{number}", source, target)
            wrong, is_new = "", True
            while True:
                moment = chance.uniform(0.8, 1.05) if chance.random() < LATE else chance.uniform(0, 1)
                taken = film.run(moment * seconds[target])
                if taken is not None:
                    # It was complete before: sooner with the next film, where this one was painted in one go.
                    seconds[target] = taken if is_new else seconds[target]
                    break
                is_new = False
                state = film.state()
                counts[_describe(state, whole[target])] += 1
                visible = {name: value for name, value in state.items() if value}
                if not visible.items() <= whole[target].items():
                    wrong = f"{target} after a kill: {sorted(visible)}"
                if chance.random() < 0.5 or sum(counts.values()) >= times:
                    break
            film.run()
            done = film.state()
            if done != whole[target]:
                wrong = f"{target} after resuming: {sorted(done)}"
            if wrong:
                failures += 1
                print(f"film {number}: {wrong}", flush=True)
            shutil.rmtree(film.folder)
    found = ", ".join(f"{count} {what}" for what, count in sorted(counts.items()))
    print(f"{times} kills of {number} films ({found}); {failures} films came out otherwise than undisturbed ones")
    return not failures


def _describe(state: dict[str, str], whole: dict[str, str]) -> str:
    """What a kill came upon."""
    hidden = any(name.endswith(".livestyle") for name in state)
    visible = sum(bool(value) for value in state.values())
    if not hidden:
        return "at its end" if visible else "before anything was written"
    return "within it" if not visible else "while files got their names" if visible < len(whole) else "at its end"
