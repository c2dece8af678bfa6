"""The presets that somebody has added: a folder of named pictures, and files that hand several of them on."""

from __future__ import annotations

import json
import os
import unicodedata
import zipfile
import zlib
from collections.abc import Collection, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from livestyle.engine.model import STYLE_LONG_SIDE
from livestyle.engine.style import scale_style_image
from livestyle.errors import InputError, OutputError, StyleError
from livestyle.media.images import decode_image, images_in, is_image, read_image, write_image

if TYPE_CHECKING:
    import numpy as np

LONGEST_NAME = 50
"""Characters, so that a file's name is at most 255 bytes in every script."""
FORBIDDEN = ',:@/\\<>"|?*'
"""The signs of mixes and of styles that change over time, and what some system does not take in the name of a file."""
DEVICES = {"CON", "PRN", "AUX", "NUL", *(f"{port}{number}" for port in ("COM", "LPT") for number in range(1, 10))}
"""Windows has no files of these names, whatever the suffix."""

SUFFIX = ".livestyle"
INDEX = "presets.json"
FORMAT = "livestyle presets"
VERSION = 1
MOST_PRESETS = 100
"""In one file."""
MOST_BYTES = 2 << 20
"""Of a picture in a file: one of the largest size, 512x1024, takes less even as noise."""
PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"
"""How a PNG begins; its width and height follow, 4 bytes each."""


def default_preset_folder() -> Path:
    """Where presets are kept: ``LIVESTYLE_PRESETS``, or a folder in the user's data folder of this system."""
    from platformdirs import user_data_path

    chosen = os.environ.get("LIVESTYLE_PRESETS")
    return Path(chosen) if chosen else user_data_path("livestyle", appauthor=False) / "presets"


def normalize_name(name: str) -> str:
    """A name as it is compared: accents in one piece, which file systems and keyboards write in two ways."""
    return unicodedata.normalize("NFC", name)


def check_name(name: str) -> str:
    """The name of a preset, normalised.

    Raises:
        StyleError: it cannot be one, since mixes, the command line or some file system would misread it.
    """
    name = normalize_name(name)
    if not 0 < len(name) <= LONGEST_NAME:
        why = f"it has {len(name)} characters, take 1 to {LONGEST_NAME}"
    elif not name.isprintable():
        why = "take characters that can be printed"
    elif any(sign in name for sign in FORBIDDEN):
        why = f"leave out {' '.join(FORBIDDEN)}"
    elif name[0] in ".-~ " or name[-1] in ". ":
        why = "begin it with none of . - ~ and no space, and end it with no . and no space"
    elif is_image(Path(name)):
        why = f"with {Path(name).suffix} at its end it would be taken for a file"
    elif name.partition(".")[0].rstrip().upper() in DEVICES:
        why = "Windows has no files of this name"
    else:
        return name
    raise StyleError(f"{name!r} cannot be the name of a preset: {why}")


class PresetFolder:
    """Presets of the user's own, each a picture ``NAME.png`` at the size that styles are encoded at.

    It is the picture that is kept, so that every model can encode it and its colours can be matched.

    Args:
        folder: made when it is needed; None is `default_preset_folder`.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or default_preset_folder()

    def pictures(self) -> dict[str, Path]:
        """The picture of each preset by its name, sorted; files that cannot be presets are passed over.

        Raises:
            StyleError: the folder cannot be read.
        """
        try:
            files = [path for path in images_in(self.folder) if path.suffix == ".png"]
        except InputError as error:
            if isinstance(error.__cause__, FileNotFoundError):
                return {}
            raise StyleError(f"{error}; name another folder for presets in LIVESTYLE_PRESETS") from error
        found = {}
        for path in files:
            with suppress(StyleError):
                found[check_name(path.stem)] = path
        return dict(sorted(found.items()))

    def add(self, name: str, image: np.ndarray, *, shipped: Collection[str] = (), force: bool = False) -> Path:
        """Make a picture a preset.

        Args:
            name: see `check_name`.
            image: uint8 [H, W, 3] BGR, of any size.
            shipped: names of the model's presets, which are taken too.
            force: replace a preset of that name; one that is shipped is hidden for as long as this one is there.

        Returns:
            The file.

        Raises:
            StyleError: the name cannot be one, or is taken.
            OutputError: the picture cannot be written.
        """
        name = check_name(name)
        self._check_free([name], shipped, force)
        return self._write(name, image)

    def remove(self, names: Sequence[str]) -> None:
        """Delete presets: all of them, or none where one is not there.

        Raises:
            StyleError: there is no preset of such a name.
            OutputError: a picture cannot be deleted.
        """
        for path in self._find(names).values():
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                raise OutputError(f"cannot delete {path}: {error.strerror or error}") from error

    def write_file(self, names: Sequence[str], target: Path) -> list[str]:
        """Write presets to one file, which `read_file` takes in elsewhere; it appears when it is complete.

        Args:
            names: of presets; none are all.
            target: a file to write, or to replace, ending with `SUFFIX`.

        Returns:
            The names that were written.

        Raises:
            StyleError: there is no preset of such a name, none at all, or more than a file holds.
            OutputError: the file cannot be written.
        """
        pictures = self._find(names) if names else self.pictures()
        if not pictures:
            raise StyleError("you have no presets of your own yet: add a picture with livestyle styles add")
        if len(pictures) > MOST_PRESETS:
            raise StyleError(f"one file holds {MOST_PRESETS} presets, not {len(pictures)}: name fewer")
        if target.suffix.lower() != SUFFIX:
            raise OutputError(f"cannot write {target}: end the name with {SUFFIX}")
        partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
        try:
            with zipfile.ZipFile(partial, "w") as archive:
                index = {"format": FORMAT, "version": VERSION, "names": list(pictures)}
                archive.writestr(zipfile.ZipInfo(INDEX), json.dumps(index, ensure_ascii=False, indent=2))
                for number, path in enumerate(pictures.values(), 1):
                    archive.writestr(zipfile.ZipInfo(f"{number}.png"), _to_png(path))
            os.replace(partial, target)
        except OSError as error:
            raise OutputError(f"cannot write {target}: {error.strerror or error}") from error
        finally:
            with suppress(OSError):
                partial.unlink(missing_ok=True)
        return list(pictures)

    def read_file(self, source: Path, *, shipped: Collection[str] = (), force: bool = False) -> list[str]:
        """Take in the presets of a file that `write_file` made; it is checked as a whole before anything is kept.

        Args:
            source: the file, which may come from anybody.
            shipped: names of the model's presets, which are taken too.
            force: replace presets of the same names.

        Returns:
            Their names.

        Raises:
            InputError: it is no such file, or damaged.
            StyleError: a name in it cannot be one, or is taken.
            OutputError: a picture cannot be written.
        """
        images = _read_archive(source)
        self._check_free(list(images), shipped, force)
        for name, image in images.items():
            self._write(name, image)
        return list(images)

    def _find(self, names: Sequence[str]) -> dict[str, Path]:
        pictures = self.pictures()
        for name in names:
            if normalize_name(name) not in pictures:
                raise StyleError(
                    f"you have no preset {name!r} of your own; you have: {', '.join(pictures) or 'none yet'}"
                )
        return {normalize_name(name): pictures[normalize_name(name)] for name in names}

    def _check_free(self, names: Sequence[str], shipped: Collection[str], force: bool) -> None:
        if force:
            return
        own = {_folded(name) for name in self.pictures()}
        models = {_folded(name) for name in shipped}
        for name in names:
            if _folded(name) in own | models:
                whose = "yours" if _folded(name) in own else "the model"
                raise StyleError(
                    f"{name} is a preset of {whose} already: choose another name, or force the new one into its place",
                    setting="force",
                )

    def _write(self, name: str, image: np.ndarray) -> Path:
        path = self.folder / f"{name}.png"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(
                f"cannot make the folder of presets {self.folder}: {error.strerror or error}; "
                "name another in LIVESTYLE_PRESETS"
            ) from error
        write_image(path, scale_style_image(image))
        for other, old in self.pictures().items():
            # Written with other capitals, it would be this very file on half of all systems.
            if other != name and _folded(other) == _folded(name):
                with suppress(OSError):
                    old.unlink()
        return path


def _folded(name: str) -> str:
    return normalize_name(name.casefold())


def _to_png(path: Path) -> bytes:
    """A preset's picture at the size of encoding, also where somebody has put a larger one into the folder."""
    import cv2

    try:
        image = scale_style_image(read_image(path))
    except InputError as error:
        raise StyleError(str(error)) from error
    return bytes(cv2.imencode(".png", image)[1])


def _read_archive(source: Path) -> dict[str, np.ndarray]:
    """The pictures in a file of presets by name, uint8 [H, W, 3] BGR."""
    broken = f"{source} is no file of presets, or damaged"
    try:
        if source.stat().st_size > MOST_PRESETS * MOST_BYTES:
            raise InputError(f"{broken}: it is larger than {MOST_PRESETS * MOST_BYTES >> 20} MiB")
        with zipfile.ZipFile(source) as archive:
            names = _read_index(_read_member(archive, INDEX), broken)
            members = [f"{number}.png" for number in range(1, len(names) + 1)]
            if sorted(archive.namelist()) != sorted([INDEX, *members]):
                raise InputError(f"{broken}: it holds other files than the {len(names)} pictures that it lists")
            return {
                name: _read_png(_read_member(archive, member), source / member, broken)
                for name, member in zip(names, members, strict=True)
            }
    except OSError as error:
        raise InputError(f"cannot read {source}: {error.strerror or error}") from error
    except (zipfile.BadZipFile, zlib.error, EOFError, KeyError, NotImplementedError, RuntimeError, ValueError) as error:
        # All of which zipfile raises for files that are no archive, cut short, encrypted or of another compression.
        raise InputError(f"{broken}: get it anew from whoever has exported it") from error


def _read_member(archive: zipfile.ZipFile, name: str) -> bytes:
    entry = archive.getinfo(name)
    # Only with these two does the number of bytes to read bound what comes of a few that say that they are few.
    if entry.file_size > MOST_BYTES or entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"{name} is too large, or of another compression")
    with archive.open(entry) as member:
        return member.read(MOST_BYTES)


def _read_index(data: bytes, broken: str) -> list[str]:
    index = json.loads(data)
    if not isinstance(index, dict) or index.get("format") != FORMAT:
        raise InputError(f"{broken}: it does not say that it is one")
    if index.get("version") != VERSION:
        raise InputError(f"{broken}: it is of version {index.get('version')!r}, and this livestyle reads {VERSION}")
    names = index.get("names")
    if not isinstance(names, list) or not 0 < len(names) <= MOST_PRESETS or not all(isinstance(n, str) for n in names):
        raise InputError(f"{broken}: it lists 1 to {MOST_PRESETS} names")
    names = [check_name(name) for name in names]
    if len({_folded(name) for name in names}) < len(names):
        raise InputError(f"{broken}: it lists a name twice")
    return names


def _read_png(data: bytes, path: Path, broken: str) -> np.ndarray:
    width, height = (int.from_bytes(data[start : start + 4]) for start in (len(PNG), len(PNG) + 4))
    # Before decoding, which makes room for as many pixels as the first bytes say.
    if not data.startswith(PNG) or not 0 < width <= STYLE_LONG_SIDE or not 0 < height <= STYLE_LONG_SIDE:
        raise InputError(f"{broken}: {path.name} is no PNG of {STYLE_LONG_SIDE} pixels or less each way")
    return decode_image(data, path)
