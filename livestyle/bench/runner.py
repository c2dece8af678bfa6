"""The bench run: all measurements of a plan, one after the other, as a report."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import onnxruntime as ort

from livestyle import __version__
from livestyle.engine.devices import default_threads
from livestyle.engine.model import Model
from livestyle.engine.stylizer import Stylizer

from .ceiling import measure_ceiling
from .child import run_in_child
from .engine import EngineCandidate, network_inputs, noisy_frames, precision_of
from .machine import this_machine
from .macs import count_macs
from .peer import Peer, split_peer
from .plan import NOISE, WARM_UP, Plan, Scope
from .programs import ProgramResult, ProgramRun, write_clip
from .report import Measurement, Report, Settings
from .timing import percentiles, time_in_rounds

Say = Callable[[str], object]
Size = tuple[int, int]


def run_bench(plan: Plan, say: Say = lambda _: None) -> Report:
    """Measure what a plan asks for; temporary files are gone afterwards, and on Ctrl-C too.

    Args:
        plan: what to measure.
        say: told what is measured now, in a few words.

    Raises:
        LivestyleError: a model, a device or a peer cannot be used.
    """
    machine = this_machine()
    for spec in plan.peers:
        # Before minutes of other measurements.
        split_peer(spec)
    say("loading the models")
    bench = _Bench(plan, _entries(plan), say)
    with TemporaryDirectory(prefix="livestyle-bench-") as folder:
        measurements = list(bench.measure(Path(folder)))
    return Report(
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        livestyle=__version__,
        onnxruntime=ort.__version__,
        machine=machine,
        settings=Settings(plan.threads or default_threads(), WARM_UP, NOISE),
        ceilings=bench.ceilings,
        measurements=measurements,
    )


@dataclass(frozen=True)
class _Entry:
    """A model on a device.

    Attributes:
        name: of the candidate.
        model: as it was asked for.
        device: that starts.
        precision: of its network there.
    """

    name: str
    model: str
    device: str
    precision: str


def _entries(plan: Plan) -> list[_Entry]:
    """Every model on every device, each once: ``auto`` is one of the others."""
    names = {model: Path(model).name or model for model in plan.models}
    entries: dict[_Entry, None] = {}
    for model, name in names.items():
        for device in plan.devices:
            stylizer = Stylizer(model, device, plan.threads)
            # Two folders of one name are called by their paths.
            label = name if list(names.values()).count(name) == 1 else model
            entries[_Entry(label, model, stylizer.device.name, precision_of(stylizer))] = None
    return list(entries)


class _Bench:
    """Measurements of a plan, and what they share.

    Attributes:
        ceilings: GMAC/s by precision, as far as they were needed.
    """

    def __init__(self, plan: Plan, entries: Sequence[_Entry], say: Say) -> None:
        self.ceilings: dict[str, float] = {}
        self._plan = plan
        self._entries = entries
        self._say = say
        self._gmacs: dict[tuple[Path, Size, str], float] = {}

    def measure(self, folder: Path) -> Iterator[Measurement]:
        """All measurements; clips are written to ``folder``."""
        for scope in self._plan.scopes:
            for size in self._plan.sizes:
                self._say(f"measuring {scope} at {_text(size)}")
                yield from self._engine(size) if scope is Scope.ENGINE else self._programs(scope, size, folder)

    def _engine(self, size: Size) -> Iterator[Measurement]:
        plan, frames = self._plan, noisy_frames(*size)
        engines = [EngineCandidate(each.model, each.device, plan.threads, frames) for each in self._entries]
        peers = [Peer(spec, plan.threads, frames) for spec in plan.peers]
        times = time_in_rounds([*engines, *peers], plan.seconds)
        for entry, engine, taken in zip(self._entries, engines, times, strict=False):
            gmac = self._gmac_of(entry, size)
            yield self._measurement(Scope.ENGINE, entry, engine.form, size, taken, gmac)
        for peer, taken in zip(peers, times[len(engines) :], strict=True):
            entry = _Entry(peer.name, str(peer.path), "cpu", "float32")
            yield self._measurement(Scope.ENGINE, entry, "", size, taken, count_macs(peer.path, peer.inputs) / 1e9)

    def _programs(self, scope: Scope, size: Size, folder: Path) -> Iterator[Measurement]:
        clip = write_clip(folder, scope, size)
        # Back and forth, so that what changes slowly on the machine falls on all candidates alike.
        orders = [self._entries] if len(self._entries) == 1 else [self._entries, self._entries[::-1]]
        results: dict[_Entry, list[ProgramResult]] = {entry: [] for entry in self._entries}
        for order in orders:
            for entry in order:
                target = folder / "painted.mp4"
                run = ProgramRun(
                    scope=scope,
                    source=str(clip),
                    target=str(target),
                    model=entry.model,
                    device=entry.device,
                    threads=self._plan.threads,
                    seconds=self._plan.seconds / len(orders),
                )
                results[entry].append(run_in_child(run))
                target.unlink(missing_ok=True)
        for entry, runs in results.items():
            times = [time for result in runs for time in result.milliseconds]
            rate = sum(result.frames for result in runs) / sum(result.seconds for result in runs)
            peaks = [result.peak_mib for result in runs if result.peak_mib is not None]
            peak = max(peaks) if peaks else None
            gmac = self._gmac_of(entry, size)
            yield self._measurement(scope, entry, runs[-1].form, size, times, gmac, rate=rate, peak=peak)

    def _measurement(
        self,
        scope: Scope,
        entry: _Entry,
        form: str,
        size: Size,
        times: Sequence[float],
        gmac: float,
        *,
        rate: float | None = None,
        peak: float | None = None,
    ) -> Measurement:
        found = percentiles(times)
        rate = rate or 1000 / found["p50"]
        ceiling = self._ceiling(entry.precision) if gmac else None
        return Measurement(
            scope=scope,
            candidate=entry.name,
            device=entry.device,
            precision=entry.precision,
            form=form,
            size=_text(size),
            runs=len(times),
            **found,
            frames_per_second=round(rate, 2),
            peak_mib=None if peak is None else round(peak, 1),
            gmac=round(gmac, 3) if gmac else None,
            share=round(gmac * rate / ceiling, 4) if ceiling else None,
        )

    def _gmac_of(self, entry: _Entry, size: Size) -> float:
        """Work of a model's network for a frame, in GMAC."""
        model = Model.load(entry.model)
        place = model.folder, size, entry.precision
        if place not in self._gmacs:
            self._gmacs[place] = count_macs(*network_inputs(model, noisy_frames(*size)[0], entry.precision)) / 1e9
        return self._gmacs[place]

    def _ceiling(self, precision: str) -> float | None:
        if precision not in self.ceilings:
            found = measure_ceiling(precision, self._plan.threads)
            if found is None:
                return None
            self.ceilings[precision] = round(found, 1)
        return self.ceilings[precision]


def _text(size: Size) -> str:
    return f"{size[0]}x{size[1]}"
