"""Style library: styles by preset name, image, folder or mix, with an on-disk cache of their statistics."""

from __future__ import annotations

import difflib
import hashlib
import logging
import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from livestyle.engine.style import StyleStats, mix, scale_style_image
from livestyle.errors import InputError, StyleError
from livestyle.files import atomic_write, read_regular
from livestyle.limits import LONGEST_TEXT, shown
from livestyle.media.images import MOST_SPARE_BYTES, decode_reduced, images_in, read_file, read_reduced
from livestyle.render.color import match_colors

from .presets import PresetFolder, normalize_name
from .refined import read_refined

if TYPE_CHECKING:
    from fractions import Fraction

    from livestyle.engine.stylizer import Stylizer


PREPARATION = 2
"""Version of decoding and scaling, part of the cache key: increment it when either changes."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Style:
    """Named style.

    Attributes:
        name: of the preset, or of the image file without its suffix, or the text of a mix.
        stats: style statistics, the network's input.
        source: image file that it was encoded from; None for the model's presets and for mixes.
    """

    name: str
    stats: StyleStats
    source: Path | None = None

    def stats_at(self, _time: Fraction | float) -> StyleStats:
        """Its statistics, the same at every time, see `livestyle.render.look.StyleOverTime`."""
        return self.stats


def default_cache_folder() -> Path:
    """Folder of the cache: the environment variable ``LIVESTYLE_CACHE``, else in the user's cache folder."""
    from platformdirs import user_cache_path

    chosen = os.environ.get("LIVESTYLE_CACHE")
    return Path(chosen) if chosen else user_cache_path("livestyle", appauthor=False) / "styles"


class StyleLibrary:
    """Finder of styles, with a cache of their statistics on disk, so that no image is encoded twice.

    The cache key is a hash of the file's content and of the model's style encoder: an image may be renamed or moved,
    and one that changes is encoded again.

    Args:
        stylizer: encodes images that are not in the cache.
        cache_folder: None is `default_cache_folder`. Without write access to it, nothing is cached.
        preset_folder: of the user's own presets; None is `livestyle.styles.folders.default_preset_folder`.
        progress: goes through the images of a folder, which are encoded one after the other, and may show how far.
    """

    def __init__(
        self,
        stylizer: Stylizer,
        cache_folder: str | Path | None = None,
        preset_folder: str | Path | None = None,
        progress: Callable[[list[Path]], Iterable[Path]] = iter,
    ) -> None:
        self._stylizer = stylizer
        self._cache = Path(cache_folder) if cache_folder else default_cache_folder()
        self._own_folder = PresetFolder(Path(preset_folder) if preset_folder else None)
        self._own: dict[str, Style] = {}
        self._progress = progress
        self.encoded = 0
        """Number of cache misses: images that this library has encoded."""
        self.is_cached = True
        """Whether all of these are in the cache from now on."""

    @cached_property
    def presets(self) -> dict[str, Style]:
        """Presets by name: the model's, then the user's own, which have a `Style.source`.

        One of the user's own replaces the model's of the same name. One whose image cannot be read is left out, with a
        warning in the log.
        """
        own = {}
        for name in self._own_images:
            try:
                own[name] = self._own_style(name)
            except StyleError as error:
                log.warning("the preset %s is left out: %s", name, error)
        return {**self._shipped, **own}

    def first(self) -> Style:
        """Default style: the model's first preset; where it has none, the first of the user's own.

        Raises:
            StyleError: there are no presets.
        """
        for name in self._shipped or self.presets:
            # By name and not from `presets`, which would encode each of the user's own.
            return self.find(name)[0]
        raise StyleError("this model has no presets: name a style picture", setting="style")

    @cached_property
    def _shipped(self) -> dict[str, Style]:
        stored = self._stylizer.model.presets()
        return {name: Style(name, StyleStats(values)) for name, values in stored.items()}

    @cached_property
    def _own_images(self) -> dict[str, Path]:
        try:
            return self._own_folder.images()
        except StyleError as error:
            # The model's presets do not depend on that folder.
            log.warning("%s", error)
            return {}

    def _own_style(self, name: str) -> Style:
        if name not in self._own:
            path = self._own_images[name]
            refined = read_refined(path, self._stylizer.model)
            self._own[name] = Style(name, refined or self.from_image(path).stats, path)
        return self._own[name]

    def _preset(self, name: str) -> Style | None:
        normal = normalize_name(name)
        return self._own_style(normal) if normal in self._own_images else self._shipped.get(normal)

    def from_image(self, path: str | Path) -> Style:
        """Style of an image file, from the cache or encoded now.

        Raises:
            StyleError: the file is missing or is not an image.
        """
        path = Path(path)
        try:
            data = read_file(path, MOST_SPARE_BYTES)
        except InputError as error:
            raise StyleError(str(error)) from error
        key = hashlib.sha256(f"{PREPARATION} {self._stylizer.model.checksum} ".encode() + data).hexdigest()
        values = self._read_cache(key)
        if values is None:
            try:
                image = decode_reduced(data, path)
            except InputError as error:
                raise StyleError(str(error)) from error
            values = self._stylizer.encode_style(image).values
            self.encoded += 1
            self._write_cache(key, values)
        return Style(path.stem, StyleStats(values), path)

    def matched(self, style: Style, content: np.ndarray) -> Style:
        """Style whose image has the colours of a content, see `match_colors`; not cached, as it depends on the content.

        Args:
            style: with an image as its source.
            content: uint8 [H, W, 3] or [N, H, W, 3] BGR, of any size.

        Raises:
            StyleError: the style has no image, or the file is gone.
        """
        path = source_image(style)
        try:
            # At the size of encoding, which bounds the time and memory of matching.
            image = scale_style_image(read_reduced(path))
        except InputError as error:
            raise StyleError(str(error)) from error
        return Style(style.name, self._stylizer.encode_style(match_colors(image, content)), path)

    def find(self, text: str) -> list[Style]:
        """Styles that a text names, in order.

        Args:
            text: name of a preset, path of an image or of a folder of images (all of them), or a mix of presets and
                images such as ``starry-night:0.7,scream:0.3``, which is one style.

        Raises:
            StyleError: there is no such style, or the mix cannot be read.
        """
        check_text(text)
        preset = self._preset(text)
        if preset is not None:
            return [preset]
        path = existing_path(text)
        if path is not None and path.is_dir():
            try:
                images = images_in(path)
            except InputError as error:
                raise StyleError(str(error)) from error
            if not images:
                raise StyleError(f"there is no picture in the folder {path}")
            return [self.from_image(image) for image in self._progress(images)]
        if path is not None:
            return [self._image_style(path)]
        parts = [split_weight(item) for item in text.split(",")]
        if len(parts) == 1 and parts[0][1] is None:
            raise StyleError(self._unknown(text))
        members = [self._one(name) for name, _ in parts]
        weights = [1.0 if weight is None else weight for _, weight in parts]
        return [Style(text, mix([m.stats for m in members], weights))]

    def __getitem__(self, text: str) -> Style:
        """Single style that a text names, see `find`.

        Raises:
            StyleError: there is no such style, or it is a folder of several.
        """
        found = self.find(text)
        if len(found) != 1:
            raise StyleError(f"{text} is a folder of {len(found)} styles: name one of them")
        return found[0]

    def _one(self, name: str) -> Style:
        preset = self._preset(name)
        if preset is not None:
            return preset
        path = existing_path(name)
        if path is None or path.is_dir():
            raise StyleError(self._unknown(name))
        return self._image_style(path)

    def _image_style(self, path: Path) -> Style:
        """Style of an image file; the preset, under its name, where the file is that of one of the user's own presets.

        Saved settings name such a preset by its file.
        """
        absolute = path.resolve()
        for name, image in self._own_images.items():
            if image.resolve() == absolute:
                return self._own_style(name)
        return self.from_image(path)

    def _unknown(self, name: str) -> str:
        presets = list({**self._shipped, **self._own_images})
        folded = {preset.casefold(): preset for preset in presets}
        near = difflib.get_close_matches(normalize_name(name).casefold(), folded, cutoff=0.65)
        if near:
            return (
                f"there is no style {shown(name)}, did you mean {' or '.join(folded[found] for found in near)}? "
                "livestyle styles list names all presets, and a style may be a picture too"
            )
        return (
            f"there is no style {shown(name)}: give a picture, a folder of pictures, a mix such as a:0.7,b:0.3, "
            f"or one of the presets: {', '.join(presets) or 'this model has none'}"
        )

    def _read_cache(self, key: str) -> np.ndarray | None:
        """Statistics kept under a key; None where there are none, or not of the model's size, whatever the file is."""
        path = self._cache / f"{key}.f32"
        try:
            values = np.frombuffer(read_regular(path, 4 * self._stylizer.stats_size), "<f4").astype(np.float32)
        except (OSError, ValueError):
            return None
        return values if values.shape == (self._stylizer.stats_size,) and np.isfinite(values).all() else None

    def _write_cache(self, key: str, values: np.ndarray) -> None:
        try:
            self._cache.mkdir(parents=True, exist_ok=True)
            with atomic_write(self._cache / f"{key}.f32") as file:
                file.write(values.astype("<f4").tobytes())
        except OSError:
            # A read-only home or a full disk costs encoding the image again next time, and nothing else.
            self.is_cached = False


def source_image(style: Style) -> Path:
    """Image file of a style whose colours are to be matched.

    Raises:
        StyleError: it has none: it is a preset of the model or a mix.
    """
    if style.source is None:
        raise StyleError(
            f"the colours of {style.name} cannot be matched, since it is a preset or a mix: "
            "name the picture of a style",
            setting="style",
        )
    return style.source


def check_text(text: str) -> None:
    """Raise a `StyleError` for what is no text that names styles, or a far too long one."""
    if not isinstance(text, str) or len(text) > LONGEST_TEXT:
        raise StyleError(f"styles are named in a text of {LONGEST_TEXT} characters at most, not {shown(text)}")


def files_in(text: str | None) -> list[Path]:
    """Files that a text of styles names, also in folders, in mixes and with times; what else it names is left out."""
    if text is None or len(text) > LONGEST_TEXT:
        return []
    whole = existing_path(text)
    found: dict[Path, None] = dict.fromkeys([] if whole is None else [whole])
    for item in text.split(",") if whole is None else ():
        untimed = item.strip().rpartition("@")[0]
        for name in (item.strip(), untimed, split_weight(item)[0], split_weight(untimed)[0]):
            if (path := existing_path(name)) is not None:
                found[path] = None
    files: list[Path] = []
    for path in found:
        with suppress(InputError):
            files += images_in(path) if path.is_dir() else [path]
    return files


def existing_path(text: str) -> Path | None:
    """Existing file or folder that a text names, with ``~`` expanded; None where there is none."""
    try:
        path = with_home(Path(text))
        return path if text.strip() and path.exists() else None
    except (OSError, ValueError):
        # A name that is too long for the file system (a mix of many styles), or a null byte in it.
        return None


def with_home(path: Path) -> Path:
    """Path with ``~`` or ``~USER`` expanded to the home folder; unchanged where there is no such user."""
    try:
        return path.expanduser()
    except RuntimeError:
        return path


def split_weight(item: str) -> tuple[str, float | None]:
    """Member of a mix, ``NAME`` or ``NAME:WEIGHT``, as name and weight; the weight is None where it is missing."""
    name, colon, weight = item.strip().rpartition(":")
    if not colon:
        return weight, None
    try:
        return name, float(weight)
    except ValueError:
        return item.strip(), None
