"""How a film scales over a cluster: what each step costs, measured here, and a simulation of many workers from that.

    python docs/scaling.py measure film.mp4 -o scaling.json     # on an idle machine; the film is a few hundred frames
    python docs/scaling.py simulate scaling.json --minutes 120  # the table of docs/scaling.md

The simulation is discrete: one driver cuts pieces and joins them, one network link of the driver carries pieces out and
results back, and each worker paints one piece at a time. What it leaves out: workers that fail, nodes of unequal speed,
and a shared disk that is slower than the link.
"""

from __future__ import annotations

import argparse
import heapq
import json
import tempfile
from math import ceil
from pathlib import Path
from threading import Event
from time import perf_counter
from typing import Any

from livestyle import Look, StyleLibrary, Stylizer
from livestyle.engine.devices import default_threads
from livestyle.jobs.batch import VideoBatch
from livestyle.jobs.distributed import LEAST_FRAMES, MOST_FRAMES, Distribution
from livestyle.jobs.pieces import RUN_IN_FRAMES
from livestyle.media.video.pieces import VideoPackets
from livestyle.scheduling.scheduler import Place, Scheduler

GIGABIT = 125e6
"""Bytes a second of the driver's link."""


class Timed(Scheduler):
    """Runs the pieces here, one after the other, and keeps what each has cost."""

    def __init__(self) -> None:
        self.pieces: list[Any] = []
        self.sent = 0

    @property
    def workers(self) -> int:
        return 1

    def run(self, work: Any, shared: Any, tasks: Any, _progress: Any, _cancelled: Event) -> Any:
        for key, task in tasks:
            self.sent += len(task.data)
            done = work(shared, task, Place("here", default_threads(), "cpu"))
            self.pieces.append((len(task.times), done))
            yield key, done

    def close(self) -> None:
        pass


def measure(film: Path) -> dict[str, float]:
    """Seconds and bytes of each step, for each frame where nothing else is said."""
    stylizer = Stylizer(device="cpu")
    stylizer.settle_form()
    look = Look(StyleLibrary(stylizer).first().stats)
    packets = VideoPackets(film)
    begin = perf_counter()
    stamps = packets.stamps()
    indexing = perf_counter() - begin
    begin = perf_counter()
    middle = stamps[len(stamps) // 2].pts
    cut = sum(len(data) for _, data in packets.cut(stamps, [(stamps[0].pts, middle), (middle, stamps[-1].pts)]))
    cutting = perf_counter() - begin
    with tempfile.TemporaryDirectory() as folder:
        alone, together = Path(folder) / "alone.mp4", Path(folder) / "together.mp4"
        begin = perf_counter()
        VideoBatch([film], alone).run(stylizer, [look])
        one_machine = perf_counter() - begin
        timed = Timed()
        begin = perf_counter()
        half = Distribution(timed, "cpu", piece_frames=len(stamps) // 2)
        VideoBatch([film], together).run(stylizer, [look], distribution=half)
        whole = perf_counter() - begin
        sizes = sum(len(piece.packets) for _, piece in timed.pieces)
    painted = sum(len(piece.times) for _, piece in timed.pieces)
    working = sum(piece.seconds - piece.run_in_seconds for _, piece in timed.pieces)
    rest = sum(count for count, _ in timed.pieces) - painted
    running_in = sum(piece.run_in_seconds for _, piece in timed.pieces)
    frames = len(stamps)
    return {
        "frames": frames,
        "paint": working / painted,
        "run_in": running_in / rest if rest else 0.0,
        "index": indexing / frames,
        "cut": cutting / frames,
        "join": max(0.0, whole - working - running_in - indexing - cutting) / frames,
        "bytes_out": cut / frames,
        "bytes_back": sizes / painted,
        "one_machine": one_machine / frames,
    }


def simulate(figures: dict[str, float], frames: int, workers: int) -> tuple[float, int, float]:
    """Seconds of a film on so many workers, the number of its pieces, and the share of time that workers paint."""
    rounds = ceil(frames / workers / MOST_FRAMES)
    length = max(LEAST_FRAMES, ceil(frames / workers / rounds))
    pieces = [min(length, frames - begin) for begin in range(0, frames, length)]
    now = frames * figures["index"]
    link = now
    free = [0.0] * workers
    done = busy = 0.0
    back: list[tuple[float, float]] = []
    for number, count in enumerate(pieces):
        run_in = RUN_IN_FRAMES if number else 0
        now += (count + run_in) * figures["cut"]
        link = max(link, now) + (count + run_in) * figures["bytes_out"] / GIGABIT
        begin = max(link, heapq.heappop(free))
        end = begin + count * figures["paint"] + run_in * figures["run_in"]
        busy += count * figures["paint"]
        heapq.heappush(free, end)
        back.append((end, count * figures["bytes_back"] / GIGABIT))
    for end, seconds in sorted(back):
        done = max(done, end) + seconds
    total = max(done, link) + frames * figures["join"]
    return total, len(pieces), busy / (total * workers)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    verbs = parser.add_subparsers(dest="verb", required=True)
    verb = verbs.add_parser("measure")
    verb.add_argument("film", type=Path)
    verb.add_argument("-o", "--output", type=Path, required=True)
    verb = verbs.add_parser("simulate")
    verb.add_argument("figures", type=Path)
    verb.add_argument("--minutes", type=float, default=120)
    verb.add_argument("--fps", type=float, default=25)
    arguments = parser.parse_args()
    if arguments.verb == "measure":
        figures = measure(arguments.film)
        arguments.output.write_text(json.dumps(figures, indent=1) + "\n", "utf-8")
        print(json.dumps(figures, indent=1))
        return
    figures = json.loads(arguments.figures.read_text("utf-8"))
    frames = round(arguments.minutes * 60 * arguments.fps)
    alone = frames * figures["one_machine"]
    print("| workers | pieces | time | times as fast as one machine | workers paint |")
    print("|---|---|---|---|---|")
    for workers in (1, 10, 100, 1000):
        total, pieces, share = simulate(figures, frames, workers)
        print(f"| {workers} | {pieces} | {total / 60:.1f} min | {alone / total:.1f} | {share:.0%} |")


if __name__ == "__main__":
    main()
