"""The user's own presets: a folder of named images, and ``.livestyle`` archives to exchange them."""

from __future__ import annotations

import json
import unicodedata
import zipfile
import zlib
from collections.abc import Collection, Sequence
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from livestyle.engine.model import STYLE_LONG_SIDE
from livestyle.engine.style import scale_style_image
from livestyle.errors import InputError, OutputError, StyleError
from livestyle.files import open_archive, parse_json, read_stored
from livestyle.media.images import decode_image, encode_image, images_in, is_image, read_reduced
from livestyle.results import write_result

from .folders import default_preset_folder
from .refined import forget_refined

if TYPE_CHECKING:
    from livestyle.media.frames import BgrImage

MAX_NAME_LENGTH = 50
"""Characters of a name; in every script the file name is then at most 255 bytes, the limit of most file systems."""
FORBIDDEN = ',:@/\\<>"|?*'
"""Characters with a meaning in mixes and timelines, and those that Windows forbids in file names."""
RESERVED_NAMES = {"CON", "PRN", "AUX", "NUL", *(f"{port}{n}" for port in ("COM", "LPT") for n in range(1, 10))}
"""Device names that Windows reserves, with any suffix."""

SUFFIX = ".livestyle"
INDEX = "presets.json"
FORMAT = "livestyle presets"
VERSION = 1
MAX_PRESETS = 100
"""Of one archive."""
MAX_IMAGE_BYTES = 2 << 20
"""Size limit of an image in an archive; the largest one, 512x1024, is smaller even as noise."""
PNG_HEADER = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"
"""Signature and chunk header that a PNG begins with; width and height follow, 4 bytes each, big-endian."""


def normalize_name(name: str) -> str:
    """Name in Unicode normalisation form NFC, as names are compared: file systems and keyboards differ in the form."""
    return unicodedata.normalize("NFC", name)


def check_name(name: str) -> str:
    """Valid name of a preset, normalised (NFC).

    Raises:
        StyleError: it is invalid, since mixes, the command line or some file system would misread it.
    """
    name = normalize_name(name)
    if not 0 < len(name) <= MAX_NAME_LENGTH:
        why = f"it has {len(name)} characters, take 1 to {MAX_NAME_LENGTH}"
    elif not name.isprintable():
        why = "take characters that can be printed"
    elif any(sign in name for sign in FORBIDDEN):
        why = f"leave out {' '.join(FORBIDDEN)}"
    elif name[0] in ".-~ " or name[-1] in ". ":
        why = "begin it with none of . - ~ and no space, and end it with no . and no space"
    elif is_image(Path(name)):
        why = f"with {Path(name).suffix} at its end it would be taken for a file"
    elif name.partition(".")[0].rstrip().upper() in RESERVED_NAMES:
        why = "Windows has no files of this name"
    else:
        return name
    raise StyleError(f"{name!r} cannot be the name of a preset: {why}")


class PresetFolder:
    """Folder of the user's own presets, each an image ``NAME.png`` at the size at which styles are encoded.

    The image is stored and not its statistics, so that every model can encode it and its colours can be matched.

    Args:
        folder: path, created when needed; None is `default_preset_folder`.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or default_preset_folder()

    def images(self) -> dict[str, Path]:
        """Image file of each preset by its name, sorted; files with invalid names are ignored.

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

    def add(self, name: str, image: BgrImage, *, shipped: Collection[str] = (), force: bool = False) -> Path:
        """Add an image as a preset.

        Args:
            name: see `check_name`.
            image: uint8 [H, W, 3] BGR, of any size.
            shipped: names of the model's presets, which are taken too.
            force: replace a preset of that name; one of the model's is shadowed until this one is removed.

        Returns:
            Path of the image file.

        Raises:
            StyleError: the name is invalid or taken.
            OutputError: the file cannot be written.
        """
        name = check_name(name)
        self._check_free([name], shipped, force)
        return self._write(name, image, force)

    def remove(self, names: Sequence[str]) -> None:
        """Delete presets: all of them, or none where one does not exist.

        Raises:
            StyleError: there is no preset of such a name.
            OutputError: a file cannot be deleted.
        """
        for path in self._find(names).values():
            try:
                path.unlink(missing_ok=True)
                forget_refined(path)
            except OSError as error:
                raise OutputError(f"cannot delete {path}: {error.strerror or error}") from error

    def write_file(self, names: Sequence[str], target: Path, *, replace: bool = True) -> tuple[Path, list[str]]:
        """Export presets to one archive, which `read_file` imports; it is written atomically.

        Args:
            names: of presets; an empty sequence means all.
            target: file to write, with the suffix `SUFFIX`.
            replace: as of `livestyle.results.write_result`.

        Returns:
            Where the file is, and the names that were written.

        Raises:
            StyleError: there is no preset of such a name, none at all, or more than `MAX_PRESETS`.
            OutputError: the file cannot be written.
        """
        images = self._find(names) if names else self.images()
        if not images:
            raise StyleError("you have no presets of your own yet: add a picture with livestyle styles add")
        if len(images) > MAX_PRESETS:
            raise StyleError(f"one file holds {MAX_PRESETS} presets, not {len(images)}: name fewer")
        if target.suffix.lower() != SUFFIX:
            raise OutputError(f"cannot write {target}: end the name with {SUFFIX}")
        file = BytesIO()
        with zipfile.ZipFile(file, "w") as archive:
            index = {"format": FORMAT, "version": VERSION, "names": list(images)}
            archive.writestr(zipfile.ZipInfo(INDEX), json.dumps(index, ensure_ascii=False, indent=2))
            for number, path in enumerate(images.values(), 1):
                archive.writestr(zipfile.ZipInfo(f"{number}.png"), _to_png(path))
        return write_result(target, file.getvalue(), replace=replace), list(images)

    def read_file(self, source: Path, *, shipped: Collection[str] = (), force: bool = False) -> list[str]:
        """Import the presets of an archive that `write_file` made; all of it is validated before anything is stored.

        Args:
            source: archive, which is not trusted.
            shipped: names of the model's presets, which are taken too.
            force: replace presets of the same names.

        Returns:
            Names of the presets.

        Raises:
            InputError: it is no such archive, or damaged.
            StyleError: a name in it is invalid or taken.
            OutputError: an image cannot be written.
        """
        images = _read_archive(source)
        self._check_free(list(images), shipped, force)
        return [self._write(name, image, force).stem for name, image in images.items()]

    def _find(self, names: Sequence[str]) -> dict[str, Path]:
        images = self.images()
        for name in names:
            if normalize_name(name) not in images:
                raise StyleError(
                    f"you have no preset {name!r} of your own; you have: {', '.join(images) or 'none yet'}"
                )
        return {normalize_name(name): images[normalize_name(name)] for name in names}

    def _check_free(self, names: Sequence[str], shipped: Collection[str], force: bool) -> None:
        if force:
            return
        own = {_folded(name) for name in self.images()}
        models = {_folded(name) for name in shipped}
        for name in names:
            if _folded(name) in own | models:
                whose = "yours" if _folded(name) in own else "the model"
                raise StyleError(
                    f"{name} is a preset of {whose} already: choose another name, or force the new one into its place",
                    setting="force",
                )

    def _write(self, name: str, image: BgrImage, replace: bool) -> Path:
        path = self.folder / f"{name}.png"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(
                f"cannot make the folder of presets {self.folder}: {error.strerror or error}; "
                "name another in LIVESTYLE_PRESETS"
            ) from error
        path = write_result(path, encode_image(path, scale_style_image(image)), replace=replace)
        forget_refined(path)
        for other, old in self.images().items():
            # Case-insensitive file systems (Windows, macOS) would take both for one file.
            if replace and other != name and _folded(other) == _folded(name):
                with suppress(OSError):
                    old.unlink()
        return path


def _folded(name: str) -> str:
    """Name as it is compared regardless of case, normalised (NFC)."""
    return normalize_name(name.casefold())


def _to_png(path: Path) -> bytes:
    """PNG of a preset, scaled down where the user has put a larger image into the folder."""
    import cv2

    try:
        image = scale_style_image(read_reduced(path))
    except InputError as error:
        raise StyleError(str(error)) from error
    return bytes(cv2.imencode(".png", image)[1])


def _read_archive(source: Path) -> dict[str, BgrImage]:
    """Images of an archive of presets by name, uint8 [H, W, 3] BGR."""
    broken = f"{source} is no file of presets, or damaged"
    try:
        if source.stat().st_size > MAX_PRESETS * MAX_IMAGE_BYTES:
            raise InputError(f"{broken}: it is larger than {MAX_PRESETS * MAX_IMAGE_BYTES >> 20} MiB")
        with open_archive(source, MAX_PRESETS * MAX_IMAGE_BYTES, MAX_PRESETS + 1) as archive:
            names = _read_index(read_stored(archive, INDEX, MAX_IMAGE_BYTES), broken)
            members = [f"{number}.png" for number in range(1, len(names) + 1)]
            if sorted(archive.namelist()) != sorted([INDEX, *members]):
                raise InputError(f"{broken}: it holds other files than the {len(names)} pictures that it lists")
            return {
                name: _read_png(read_stored(archive, member, MAX_IMAGE_BYTES), source / member, broken)
                for name, member in zip(names, members, strict=True)
            }
    except OSError as error:
        raise InputError(f"cannot read {source}: {error.strerror or error}") from error
    except (zipfile.BadZipFile, zlib.error, EOFError, KeyError, NotImplementedError, RuntimeError, ValueError) as error:
        # What zipfile raises for a file that is no zip, truncated, encrypted or of an unknown compression.
        raise InputError(f"{broken}: get it anew from whoever has exported it") from error


def _read_index(data: bytes, broken: str) -> list[str]:
    index = parse_json(data)
    if not isinstance(index, dict) or index.get("format") != FORMAT:
        raise InputError(f"{broken}: it does not say that it is one")
    if index.get("version") != VERSION:
        raise InputError(
            f"{broken}: it is of version {str(index.get('version'))[:20]}, and this livestyle reads {VERSION}"
        )
    names = index.get("names")
    if not isinstance(names, list) or not 0 < len(names) <= MAX_PRESETS or not all(isinstance(n, str) for n in names):
        raise InputError(f"{broken}: it lists 1 to {MAX_PRESETS} names")
    names = [check_name(name) for name in names]
    if len({_folded(name) for name in names}) < len(names):
        raise InputError(f"{broken}: it lists a name twice")
    return names


def _read_png(data: bytes, path: Path, broken: str) -> BgrImage:
    width, height = (int.from_bytes(data[start : start + 4]) for start in (len(PNG_HEADER), len(PNG_HEADER) + 4))
    # Decompression bombs: the decoder allocates what the header claims, so check it before decoding.
    if not data.startswith(PNG_HEADER) or not 0 < width <= STYLE_LONG_SIDE or not 0 < height <= STYLE_LONG_SIDE:
        raise InputError(f"{broken}: {path.name} is no PNG of {STYLE_LONG_SIDE} pixels or less each way")
    return decode_image(data, path)
