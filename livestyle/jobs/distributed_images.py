"""Images painted by several workers, each of which gets the file and gives back the file of the painting."""

from __future__ import annotations

import tempfile
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

from livestyle.errors import InputError, LivestyleError, OutputError
from livestyle.results import locked, write_result
from livestyle.scheduling.scheduler import Place

from .image import ImageJob
from .paths import check_taken, renamed
from .pieces import Program, check_worker, model_folder, portable, worker_stylizer
from .progress import Display
from .report import Failure, Result, style_name
from .shelf import Shelf, fetch, packed_model

if TYPE_CHECKING:
    from livestyle.engine.stylizer import Stylizer

    from .distributed import Distribution


@dataclass(frozen=True)
class _Shared:
    """What all images need: the model, see `livestyle.jobs.pieces.Shared`, and what the bytes depend on."""

    program: Program
    model: str | dict[str, bytes]


@dataclass(frozen=True)
class _Task:
    """An image: its job, whose files are elsewhere, and the bytes of its file or their address."""

    job: ImageJob
    data: bytes | str


def outcomes_of_images(
    jobs: Sequence[ImageJob], distribution: Distribution, stylizer: Stylizer, cancelled: Event
) -> Generator[Result | Failure]:
    """What becomes of each image, as soon as it is known.

    Raises:
        WorkerError: see `livestyle.scheduling.scheduler.Scheduler.run`.
        KeyboardInterrupt: it was cancelled.
    """
    program = distribution.program(stylizer)
    shared = _Shared(program, packed_model(stylizer.model))
    shelf = Shelf(distribution.storage)
    unreadable: list[Failure] = []

    def tasks() -> Iterator[tuple[int, _Task]]:
        for number, job in enumerate(jobs):
            try:
                data = job.source.read_bytes()
            except OSError as error:
                reason = InputError(f"cannot read {job.source}: {error.strerror or error}")
                unreadable.append(Failure(job.source, job.path, style_name(job.look), reason))
                continue
            yield number, _Task(replace(job, look=portable(job.look)), shelf.put(number, data))

    results = distribution.scheduler.run(_paint_image, shared, tasks(), lambda *_: None, cancelled)
    # The workers end before what they read is deleted.
    with closing(shelf), closing(results):
        for number, done in results:
            shelf.drop(number)
            job = jobs[number]
            if isinstance(done, LivestyleError):
                yield Failure(job.source, job.path, style_name(job.look), done)
                continue
            result, data = done
            try:
                with locked(job.path):
                    check_taken([job.path], [], job.force)
                    path = write_result(job.path, data, replace=job.force)
            except OutputError as error:
                yield Failure(job.source, job.path, style_name(job.look), error)
            else:
                notes = (*result.notes, *renamed(job.path, path))
                yield replace(result, source=job.source, path=path, notes=notes)
        yield from unreadable


def _paint_image(shared: _Shared, task: _Task, place: Place) -> tuple[Result, bytes] | LivestyleError:
    """Paint one image on a worker; an error of the image is given back, so that the others are painted."""
    stylizer = worker_stylizer(model_folder(shared.model), place.device, place.threads)
    check_worker(shared.program, stylizer, place)
    with tempfile.TemporaryDirectory() as folder:
        source, path = Path(folder) / "in" / task.job.source.name, Path(folder) / "out" / task.job.path.name
        source.parent.mkdir()
        path.parent.mkdir()
        source.write_bytes(fetch(task.data))
        try:
            result = replace(task.job, source=source, path=path).run(stylizer, Display(None), Event())
        except LivestyleError as error:
            # The folder is this worker's own.
            text = str(error).replace(str(source), str(task.job.source)).replace(str(path), str(task.job.path))
            return type(error)(text, error.settings)
        place.report(1)
        return result, path.read_bytes()
