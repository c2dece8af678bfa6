"""The speed of two checkouts of livestyle, in turns on the same cores: the engine at rest, and the demo.

    python docs/compare_builds.py OLD NEW --model lite --model full

Both run in this Python, which must have what each of them needs; a build's cache is its own. Compare within a run only.
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from time import perf_counter

ROUNDS, FRAMES = 8, 25
"""Of the engine: rounds, and frames of each build in a round."""
DEMOS = 4
"""Runs of the demo, of each build."""
ENGINE = """
import sys
from time import perf_counter
import cv2
import numpy as np
import livestyle
stylizer = livestyle.Stylizer(sys.argv[1], device="cpu")
if hasattr(stylizer, "settle_form"):
    stylizer.settle_form()
style = livestyle.StyleLibrary(stylizer).presets["scream"].stats
frame = cv2.VideoCapture(sys.argv[2]).read()[1]
random = np.random.default_rng(0)
frames = [np.clip(frame + random.normal(0, 2, frame.shape), 0, 255).astype(np.uint8) for _ in range(8)]
# Older builds have another name for it.
state = getattr(livestyle, "Stabilizer", None) or livestyle.ContentState
state = state()
for number in range(20):
    stylizer.stylize(frames[number % 8], style, 1.0, state)
print("ready", flush=True)
for line in sys.stdin:
    for number in range(int(line)):
        begin = perf_counter()
        stylizer.stylize(frames[number % 8], style, 1.0, state)
        print(perf_counter() - begin, flush=True)
"""


def environment(build: Path, cache: str) -> dict[str, str]:
    """Of a process that runs a build."""
    return os.environ | {"PYTHONPATH": str(build), "LIVESTYLE_CACHE": str(Path(cache) / build.name)}


def compare_engines(builds: Sequence[Path], model: str, cache: str) -> None:
    """Median milliseconds of a frame of the bundled clip, 640x360, with fresh noise, in a style at rest."""
    clip = str(builds[-1] / "livestyle" / "assets" / "demo.mp4")
    pipe = subprocess.PIPE
    children = [
        subprocess.Popen(
            [sys.executable, "-c", ENGINE, model, clip],
            env=environment(build, cache),
            cwd=cache,
            stdin=pipe,
            stdout=pipe,
            text=True,
        )
        for build in builds
    ]
    times: list[list[float]] = [[] for _ in children]
    for build, child in zip(builds, children, strict=True):
        assert child.stdout is not None
        if not child.stdout.readline():
            sys.exit(f"{build} does not run")
    for _ in range(ROUNDS):
        for child, found in zip(children, times, strict=True):
            assert child.stdin is not None
            assert child.stdout is not None
            child.stdin.write(f"{FRAMES}\n")
            child.stdin.flush()
            found += [float(child.stdout.readline()) for _ in range(FRAMES)]
    for child in children:
        child.communicate()
    old, new = (1000 * median(found) for found in times)
    print(f"engine, {model}: {old:.1f} and {new:.1f} ms a frame, {old / new:.2f} times as fast")


def compare_demos(builds: Sequence[Path], cache: str) -> None:
    """Frames a second, as the demo says them, and seconds and CPU time of the whole program."""
    found: list[list[tuple[float, float, float]]] = [[] for _ in builds]
    for number in range(DEMOS):
        for build, runs in zip(builds, found, strict=True):
            line = [sys.executable, "-m", "livestyle", "demo", "-o", f"{build.name}-{number}.mp4"]
            before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), perf_counter()
            result = subprocess.run(line, env=environment(build, cache), cwd=cache, capture_output=True, text=True)
            seconds, after = perf_counter() - begin, resource.getrusage(resource.RUSAGE_CHILDREN)
            rate = re.search(r"([\d.]+) frames/s", result.stdout + result.stderr)
            if rate is None:
                sys.exit(f"the demo of {build} failed: {result.stderr}")
            cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            runs.append((float(rate[1]), seconds, cpu))
    for build, runs in zip(builds, found, strict=True):
        rates, seconds, cpu = zip(*runs, strict=True)
        each = ", ".join(f"{rate:.1f}" for rate in rates)
        print(f"demo, {build}: {each} frames/s; {median(seconds):.2f} s in all, {median(cpu):.2f} s of CPU time")
    old, new = (median(run[0] for run in runs) for runs in found)
    print(f"demo: {new / old:.2f} times as many frames a second")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    parser.add_argument("--model", action="append")
    arguments = parser.parse_args()
    builds = [arguments.old.resolve(), arguments.new.resolve()]
    print(f"load average {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory() as cache:
        for model in arguments.model or ["lite"]:
            compare_engines(builds, model, cache)
        compare_demos(builds, cache)


if __name__ == "__main__":
    main()
