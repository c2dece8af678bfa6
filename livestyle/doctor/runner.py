"""The examination: all checks in order, each of which may fail without ending the others."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from livestyle.errors import LivestyleError, first_line

from .finding import Finding, Section, State

if TYPE_CHECKING:
    from livestyle.engine.stylizer import Stylizer

OPTIONAL = {Section.CAMERAS, Section.SCREEN}
"""Sections without which images and videos can be painted all the same."""


@dataclass(frozen=True)
class Plan:
    """What is examined.

    Attributes:
        sections: of the examination; empty is all of them.
        model: as `livestyle.engine.stylizer.Stylizer` takes it.
        device: the same; one that was asked for and does not start is broken, not optional.
        cameras: open the cameras and measure their rates.
    """

    sections: Sequence[Section] = ()
    model: str | None = None
    device: str = "auto"
    cameras: bool = False


def examine(plan: Plan = Plan()) -> Iterator[Finding]:
    """Findings on this machine in the order of `Section`, each as soon as it is known."""
    examination = _Examination(plan)
    checks: dict[Section, Callable[[], Iterator[Finding]]] = {
        Section.INSTALL: _install,
        Section.GPU: _gpu,
        Section.MODEL: examination.model,
        Section.SPEED: examination.speed,
        Section.CAMERAS: examination.cameras,
        Section.SCREEN: _screen,
        Section.VIDEO: _video,
        Section.STORAGE: _storage,
    }
    for section, check in checks.items():
        if not plan.sections or section in plan.sections:
            for finding in _guarded(section, check):
                examination.see(finding)
                yield finding


def works(findings: Sequence[Finding]) -> bool:
    """Whether all that the program needs works."""
    return all(finding.state is not State.BROKEN for finding in findings)


class _Examination:
    """The sections that depend on what was asked for."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._stylizer: Stylizer | None = None
        self._fatal = ""

    def see(self, finding: Finding) -> None:
        """Take note of a device that would end this process, as it ends every program that takes it."""
        if finding.figures.get("fatal") and self._plan.device in ("auto", finding.figures["device"]):
            self._fatal = finding.name

    def model(self) -> Iterator[Finding]:
        from .models import check_models, check_painting

        yield from check_models(self._plan.model)
        finding = self._open()
        yield finding
        if self._stylizer is not None:
            yield check_painting(self._stylizer)

    def speed(self) -> Iterator[Finding]:
        from .speed import check_speed

        if self._stylizer is None:
            finding = self._open()
            if self._stylizer is None:
                text = f"cannot be measured: {finding.text}"
                yield Finding(Section.SPEED, "frame rate", State.BROKEN, text, finding.mend)
                return
        yield from check_speed(self._stylizer)

    def _open(self) -> Finding:
        from .models import check_device

        if self._fatal:
            text = f"{self._fatal} ends or hangs the program, see above"
            mend = "livestyle ... --device cpu, until its driver is mended"
            return Finding(Section.MODEL, "device", State.BROKEN, text, mend)
        self._stylizer, finding = check_device(self._plan.model, self._plan.device)
        return finding

    def cameras(self) -> Iterator[Finding]:
        from .peripherals import check_cameras

        yield from check_cameras(self._plan.cameras)


def _guarded(section: Section, check: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    """A section's findings, with one more for an error that ends it: a page with a gap helps more than a traceback."""
    broken = State.WARNING if section in OPTIONAL else State.BROKEN
    try:
        yield from check()
    except ImportError as error:
        text = f"not checked ({error})"
        yield Finding(section, str(section), broken, text, "mend what livestyle doctor install says")
    except LivestyleError as error:
        # Its sentence says what mends it.
        yield Finding(section, str(section), broken, str(error), f"do that, then livestyle doctor {section}")
    except Exception as error:
        reason = first_line(error)
        text = f"not checked to its end ({type(error).__name__}: {reason})"
        mend = "if nothing above explains it, report it with this page"
        yield Finding(section, str(section), broken, text, mend)


# The modules are imported where they are used, so that a section whose libraries are missing costs only itself.


def _install() -> Iterator[Finding]:
    from .packages import check_install

    yield from check_install()


def _gpu() -> Iterator[Finding]:
    from .providers import check_gpu

    yield from check_gpu()


def _screen() -> Iterator[Finding]:
    from .peripherals import check_screen

    yield from check_screen()


def _video() -> Iterator[Finding]:
    from .encoders import check_video

    yield from check_video()


def _storage() -> Iterator[Finding]:
    from .storage import check_storage

    yield from check_storage()
