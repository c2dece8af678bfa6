"""Section ``storage``: the settings, the cache of encoded styles, the measured forms, and the user's presets."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path

from livestyle.errors import LivestyleError, StyleError
from livestyle.files import atomic_write, read_json, read_regular

from .finding import Finding, Section, State
from .log import captured_warnings

MOST_ENTRIES = 5000
"""Entries of the cache that are looked at, which takes about a second."""
MOST_BYTES = 1 << 20
"""Size limit of an entry, which is a few kB."""
MOST_PRESETS = 100
LEAST_FREE = 100 << 20
"""Bytes free on the disk of the cache below which there is a warning."""


def check_storage() -> Iterator[Finding]:
    """Findings on each file and folder that livestyle keeps for a user."""
    from livestyle.engine.forms import form_cache
    from livestyle.styles.library import default_cache_folder

    yield _settings()
    yield _writable(default_cache_folder())
    yield _entries(default_cache_folder())
    yield _forms(form_cache())
    yield _presets()


def delete(*paths: Path) -> str:
    """Command that deletes files on this system."""
    names = [str(path) for path in paths]
    return f"del {subprocess.list2cmdline(names)}" if sys.platform == "win32" else f"rm {shlex.join(names)}"


def _settings() -> Finding:
    from livestyle.live.settings import load_settings, settings_path
    from livestyle.styles.library import existing_path

    path = settings_path()
    name, place = "settings", str(path)
    try:
        with captured_warnings("livestyle.live.settings") as unknown:
            chosen = load_settings().chosen()
    except LivestyleError as error:
        mend = f"correct the file, or {delete(path)}; livestyle webcam --no-saved does without it"
        return Finding(Section.STORAGE, name, State.BROKEN, str(error), mend, {"path": place})
    if unknown:
        text = " and ".join(unknown)
        return Finding(Section.STORAGE, name, State.WARNING, text, f"take that line out of {place}", {"path": place})
    figures = {"path": place, "keys": sorted(chosen)}
    named = {key: chosen[key] for key in ("styles", "mask") if chosen.get(key, "none") != "none"}
    gone = [f"{key} = {value}" for key, value in named.items() if existing_path(value) is None]
    if gone:
        text = f"{place} names what is no longer there: {', '.join(gone)}"
        mend = "livestyle webcam --no-saved does without the settings, and its key w saves new ones"
        return Finding(Section.STORAGE, name, State.WARNING, text, mend, figures)
    if not path.exists():
        text = f"none saved yet (the key w does); they will be in {place}"
        return Finding(Section.STORAGE, name, State.OK, text, figures=figures)
    text = f"{len(chosen)} set, {path.stat().st_size} bytes, in {place}"
    return Finding(Section.STORAGE, name, State.OK, text, figures=figures)


def _writable(folder: Path) -> Finding:
    """Whether the cache can be written, tried with a file that is deleted again."""
    name = "cache folder"
    mend = f"free some space or make {shlex.quote(str(folder))} writable, or name another folder in LIVESTYLE_CACHE"
    probe = folder / ".livestyle-doctor"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            with atomic_write(probe) as file:
                file.write(bytes(4096))
        finally:
            with suppress(OSError):
                probe.unlink(missing_ok=True)
        free = shutil.disk_usage(folder).free
    except OSError as error:
        text = f"{folder} cannot be written ({error.strerror or error}): each style picture is encoded at each start"
        return Finding(Section.STORAGE, name, State.WARNING, text, mend, {"path": str(folder)})
    text = f"{folder} can be written, {free / 2**30:.1f} GiB free"
    figures = {"path": str(folder), "free_bytes": free}
    if free < LEAST_FREE:
        text = f"{folder} is on a disk that is nearly full, {free / 2**20:.0f} MiB free"
        return Finding(Section.STORAGE, name, State.WARNING, text, mend, figures)
    return Finding(Section.STORAGE, name, State.OK, text, figures=figures)


def _entries(folder: Path) -> Finding:
    name = "cached styles"
    entries, size, damaged = 0, 0, list[Path]()
    try:
        for path in islice(folder.glob("*.f32"), MOST_ENTRIES):
            entries += 1
            with suppress(OSError):
                size += path.stat().st_size
            if not _is_entry(path):
                damaged.append(path)
    except OSError as error:
        mend = "name another folder in LIVESTYLE_CACHE"
        text = f"{folder} cannot be listed ({error.strerror or error})"
        return Finding(Section.STORAGE, name, State.WARNING, text, mend)
    figures = {"path": str(folder), "entries": entries, "bytes": size, "unreadable": [str(path) for path in damaged]}
    text = f"{'more than ' if entries == MOST_ENTRIES else ''}{entries}, {size / 1024:.0f} KiB, in {folder}"
    if damaged:
        some = ", ".join(path.name for path in damaged[:3]) + (", ..." if len(damaged) > 3 else "")
        text += f"; {len(damaged)} cannot be read and will be encoded again: {some}"
        mend = delete(*damaged) if len(damaged) <= 3 else f"delete all files in {folder}, which costs time only"
        return Finding(Section.STORAGE, name, State.WARNING, text, mend, figures)
    return Finding(Section.STORAGE, name, State.OK, text, figures=figures)


def _is_entry(path: Path) -> bool:
    import numpy as np

    try:
        values = np.frombuffer(read_regular(path, MOST_BYTES), "<f4")
    except (OSError, ValueError):
        return False
    return values.size > 0 and bool(np.isfinite(values).all())


def _forms(path: Path) -> Finding:
    name = "measured forms"
    figures: dict[str, object] = {"path": str(path)}
    try:
        known = read_json(path)
        fine = isinstance(known, dict) and all(isinstance(value, int | float) for value in known.values())
    except (FileNotFoundError, NotADirectoryError):
        return Finding(Section.STORAGE, name, State.OK, f"none kept yet; they will be in {path}", figures=figures)
    except (OSError, ValueError):
        fine = False
    if not fine:
        text = f"{path} cannot be read, so that the forms of the network are measured at each start"
        return Finding(Section.STORAGE, name, State.WARNING, text, delete(path), figures)
    figures["forms"] = known
    return Finding(Section.STORAGE, name, State.OK, f"{len(known)}, in {path}", figures=figures)


def _presets() -> Finding:
    from livestyle.media.images import read_reduced
    from livestyle.styles.presets import PresetFolder

    presets = PresetFolder()
    name = "own presets"
    figures: dict[str, object] = {"path": str(presets.folder)}
    try:
        images = presets.images()
    except StyleError as error:
        mend = "name another folder in LIVESTYLE_PRESETS"
        return Finding(Section.STORAGE, name, State.WARNING, str(error), mend, figures)
    damaged = []
    for preset, path in islice(images.items(), MOST_PRESETS):
        try:
            read_reduced(path)
        except LivestyleError:
            damaged.append(preset)
    size = sum(path.stat().st_size for path in images.values() if path.is_file())
    text = f"{len(images)}, {size / 1024:.0f} KiB, in {presets.folder}"
    figures |= {"entries": len(images), "bytes": size, "unreadable": damaged}
    if damaged:
        text += f"; cannot be read: {', '.join(damaged)}"
        mend = f"livestyle styles remove {shlex.join(damaged)}, then add them again"
        return Finding(Section.STORAGE, name, State.WARNING, text, mend, figures)
    return Finding(Section.STORAGE, name, State.OK, text, figures=figures)
