"""Report of a bench run: the machine, the settings and every measurement; as JSON for later comparisons."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from math import inf
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from livestyle.errors import InputError
from livestyle.files import read_json
from livestyle.results import write_result

from .machine import Machine

T = TypeVar("T")

MOST_BYTES = 16 << 20
"""Size limit of a JSON file."""
_KINDS = {"str": str, "int": int, "float": (int, float), "float | None": (int, float, type(None))}
FORMAT = 1
"""Version of the JSON file; no other one is read."""
TITLES = {
    "engine": "engine: bytes in, bytes out, style at rest",
    "video": "video: a file painted into a file",
    "live": "live: the live loop, a file not paced, no window",
}
"""Of tables and plots, by scope."""


@dataclass(frozen=True)
class Measurement:
    """One candidate in one scope at one size.

    Attributes:
        scope: ``engine``, ``video`` or ``live``.
        candidate: name of the model, or of a peer's file.
        device: that really ran it, such as ``cpu``.
        precision: number format of its convolutions: ``int8``, ``float16`` or ``float32``.
        form: of the network: ``computed``, ``constant``, or both; of a peer it is empty.
        size: width and height of the frames in pixels, such as ``640x360``.
        runs: number of frames that count.
        p10: percentile of the time of a frame, in milliseconds. Of ``video`` and ``live`` a frame's time is that from
            it to the next one.
        p50: the same, the median.
        p90: the same.
        p99: the same.
        frames_per_second: of ``engine`` by the median; of ``video`` frames by the time of the whole job.
        peak_mib: largest resident memory of the process, in MiB; None of ``engine`` and where the system does not tell.
        gmac: work of the convolutions for one frame, in 10^9 multiply-accumulates; None where there is none.
        share: of the machine's ceiling in this precision that is reached, 0..1; None where either is unknown.
    """

    scope: str
    candidate: str
    device: str
    precision: str
    form: str
    size: str
    runs: int
    p10: float
    p50: float
    p90: float
    p99: float
    frames_per_second: float
    peak_mib: float | None = None
    gmac: float | None = None
    share: float | None = None

    @property
    def network(self) -> str:
        """Where, in which numbers and in which form the network ran, such as ``cpu int8 constant``."""
        return " ".join(filter(None, (self.device.partition("-")[0], self.precision, self.form)))

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What makes measurements of two reports the same one."""
        return self.scope, self.candidate, self.device, self.size


@dataclass(frozen=True)
class Settings:
    """What the figures depend on, beside the machine.

    Attributes:
        threads: of the CPU.
        warm_up: frames before the first one that counts.
        noise: standard deviation of the noise on the engine's frames, in grey levels.
    """

    threads: int
    warm_up: int
    noise: float


@dataclass(frozen=True)
class Report:
    """Report of a bench run.

    Attributes:
        date: UTC, ISO 8601.
        livestyle: its version.
        onnxruntime: its version.
        machine: that was measured.
        settings: what the figures depend on.
        ceilings: GMAC/s of a large matrix product on the CPU, by precision.
        measurements: by scope, then by size.
    """

    date: str
    livestyle: str
    onnxruntime: str
    machine: Machine
    settings: Settings
    ceilings: dict[str, float]
    measurements: list[Measurement]

    @property
    def text(self) -> str:
        """Description of the run for people, one line."""
        threads = f"{self.settings.threads} thread{'s' if self.settings.threads != 1 else ''}"
        return f"livestyle {self.livestyle}, onnxruntime {self.onnxruntime}, {threads}; {self.date}"

    def write(self, path: Path, *, replace: bool = True) -> Path:
        """Write the JSON file, see `livestyle.results.write_result`, and return where it is.

        Raises:
            OutputError: it cannot be written.
        """
        text = json.dumps({"format": FORMAT, **asdict(self)}, indent=2) + "\n"
        return write_result(path, text.encode(), replace=replace)

    @classmethod
    def read(cls, path: Path) -> Report:
        """Report of a JSON file.

        Raises:
            InputError: it cannot be read, or is no report of this version.
        """
        try:
            content: dict[str, Any] = read_json(path, MOST_BYTES)
            if content.pop("format") != FORMAT:
                raise ValueError("it is of another version")
            machine = {**content.pop("machine")}
            instructions = tuple(map(str, machine.pop("instructions")))
            ceilings = {str(name): rate for name, rate in content.pop("ceilings").items()}
            if not all(isinstance(rate, int | float) and 0 < rate < inf for rate in ceilings.values()):
                raise ValueError("its ceilings are no rates")
            return cls(
                machine=_checked(Machine, {**machine, "instructions": instructions}),
                settings=_checked(Settings, content.pop("settings")),
                measurements=[_checked(Measurement, values) for values in content.pop("measurements")],
                ceilings=ceilings,
                **{name: str(content.pop(name)) for name in ("date", "livestyle", "onnxruntime")},
            )
        except OSError as error:
            raise InputError(f"cannot read {path}: {error.strerror or error}") from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(f"{path} is no result of livestyle bench that can be read ({error})") from error


def _checked(kind: type[T], values: dict[str, Any]) -> T:
    """An object of a dataclass, whose numbers are above 0 and finite where they are times or rates.

    Raises:
        ValueError, TypeError: a value is of another type, or out of range.
    """
    for name, hint in get_type_hints(kind).items():
        value = values.get(name)
        fits: Any = _KINDS.get(hint.__name__ if isinstance(hint, type) else str(hint))
        if fits is not None and (not isinstance(value, fits) or isinstance(value, bool)):
            raise ValueError(f"{name} is of another type")
        if hint is float and isinstance(value, int | float) and not 0 <= value < inf:
            raise ValueError(f"{name} is out of range")
        if name in ("p50", "frames_per_second") and not value:
            raise ValueError(f"{name} is out of range")
    return kind(**values)
