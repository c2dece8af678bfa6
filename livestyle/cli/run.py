"""What the verbs share between their options and their one call: a model that says where it runs, and looks."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from livestyle.errors import InputError, ModelError
from livestyle.text import escaped

if TYPE_CHECKING:
    from livestyle.engine.stylizer import Stylizer
    from livestyle.jobs.distributed import Distribution
    from livestyle.jobs.paths import Input
    from livestyle.jobs.report import Done
    from livestyle.media.mask import Mask
    from livestyle.render.look import Look
    from livestyle.scheduling.scheduler import Scheduler
    from livestyle.styles.library import Style, StyleLibrary
    from livestyle.styles.timeline import Timeline

Find = Callable[["StyleLibrary", str], "Sequence[Style | Timeline]"]


def reporter(as_json: bool, quiet: bool) -> Done | None:
    """What prints the outcomes of jobs; ``--json`` is for scripts, and not told to be quiet."""
    from livestyle.jobs.report import print_json, print_result

    if as_json:
        return print_json
    return None if quiet else print_result


def load(model: str | None, device: str, workers: int = 1, *, quiet: bool = False) -> tuple[Stylizer, StyleLibrary]:
    """The model on the device, which is said in one line on stderr unless ``quiet``, and its styles."""
    from livestyle.engine.stylizer import Stylizer
    from livestyle.styles.library import StyleLibrary

    stylizer = Stylizer(model, device)
    shared = f", shared by up to {workers} jobs" if workers > 1 else ""
    text = f"{stylizer.device.text}{shared}; model {stylizer.model.manifest.name}"
    if not quiet:
        print(escaped(text), file=sys.stderr, flush=True)
    return stylizer, StyleLibrary(stylizer, progress=iter if quiet else _with_bar)


def _with_bar(images: list[Path]) -> Iterable[Path]:
    """Style images of a folder, with a bar on stderr while they are encoded, where that is a terminal."""
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    return track(images, "encoding styles", console=console, transient=True, disable=not console.is_terminal)


def looks_of(
    library: StyleLibrary,
    style: str | None,
    choices: Mapping[str, Any] | None = None,
    mask: Mask | None = None,
    background: str | None = None,
    find: Find | None = None,
) -> list[Look]:
    """One look for each style that a text names; the number of images that had to be encoded is said on stderr.

    Args:
        library: finds the styles.
        style: as ``--style`` has it; None is the first preset.
        choices: values for the fields of `Look`.
        mask: where the style is painted.
        background: as ``--background`` has it.
        find: how a text is read; None is `StyleLibrary.find`.

    Raises:
        StyleError: there is no such style.
    """
    from livestyle.render.look import Look
    from livestyle.styles.regions import find_background

    def found(text: str) -> Sequence[Style | Timeline]:
        return library.find(text) if find is None else find(library, text)

    styles = [library.first()] if style is None else found(style)
    behind = find_background(background, found)
    if library.encoded:
        pictures = "1 style picture" if library.encoded == 1 else f"{library.encoded} style pictures"
        where = "from now on the cache has them"
        if not library.is_cached:
            where = "the cache cannot be written, so they will be encoded again: name a folder in LIVESTYLE_CACHE"
        print(f"{pictures} encoded; {where}", file=sys.stderr, flush=True)
    return [Look(each, mask=mask, background=behind, **(choices or {})) for each in styles]


def open_mask(mask: Path | None, background: str | None) -> Mask | None:
    """The mask of ``--mask``, opened, so that one that cannot be read is refused before a model is loaded.

    Raises:
        InputError: it cannot be read, or there is a background without one.
    """
    if mask is not None:
        from livestyle.media.mask import Mask

        opened = Mask(mask)
        # A job reads it anew, from its beginning.
        opened.close()
        return opened
    if background is not None:
        raise InputError("a background needs a mask: say with --mask FILE where the foreground is")
    return None


@contextmanager
def distribution_of(
    ray: str | None, storage: str | None, device: str, jobs: int, run_in: int | None = None
) -> Iterator[Distribution | None]:
    """Context manager of the workers that ``--ray`` names, or of one process for each of several devices; else None.

    Raises:
        InputError: an option belongs to several workers, and there is one.
        WorkerError: there is no such cluster.
    """
    devices = [name.strip() for name in device.split(",")]
    if ray is None and len(devices) == 1:
        if storage is not None or run_in is not None:
            raise InputError("storage and a run-in are those of several workers, and there is one", setting="ray")
        yield None
        return
    from livestyle.engine.devices import default_threads
    from livestyle.jobs.distributed import Distribution
    from livestyle.scheduling.processes import Processes
    from livestyle.scheduling.ray_cluster import RayCluster

    scheduler: Scheduler
    if ray is None:
        count = max(jobs, len(devices))
        threads = max(1, default_threads() // count)
        scheduler, text = Processes(count, threads, devices), f"{count} processes on {', '.join(devices)}"
    elif len(devices) > 1:
        raise InputError("a Ray cluster shares its devices out by itself: name one", setting="device")
    else:
        scheduler = cluster = RayCluster(ray, device)
        one = cluster.workers == 1
        text = (
            f"{cluster.workers} worker{'' if one else 's'} of {cluster.threads} CPU{'s' if cluster.threads > 1 else ''}"
        )
        text += "" if one else " each"
    with scheduler:
        print(text, file=sys.stderr, flush=True)
        yield Distribution(scheduler, devices[0], storage, **({} if run_in is None else {"run_in": run_in}))


def inputs_of(
    model: str | None, style: str | None = None, background: str | None = None, mask: Path | None = None
) -> list[Input]:
    """What a verb reads beside its sources, which it must not write to."""
    from livestyle.engine.model import find_model
    from livestyle.live.settings import settings_path
    from livestyle.styles.folders import default_preset_folder
    from livestyle.styles.library import files_in

    found = [("a style", path) for path in files_in(style)]
    found += [("the background", path) for path in files_in(background)]
    found += [("a preset of yours", default_preset_folder()), ("the settings", settings_path())]
    found += [] if mask is None else [("the mask", mask)]
    with suppress(ModelError):
        found.append(("a file of the model", find_model(model)))
    return found


def is_folder_of_styles(style: str | None) -> bool:
    """Whether a text of ``--style`` may name several styles."""
    from livestyle.styles.library import existing_path

    path = None if style is None else existing_path(style)
    return path is not None and path.is_dir()
