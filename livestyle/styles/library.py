"""Styles by name, by picture or by folder; the cache of their statistics; mixes and crossfades."""

from __future__ import annotations

import difflib
import hashlib
import logging
import os
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from livestyle.engine.style import StyleStats, mix, scale_style_image
from livestyle.errors import InputError, StyleError
from livestyle.media.images import decode_image, images_in, read_image
from livestyle.render.color import match_colors

from .presets import PresetFolder, normalize_name

if TYPE_CHECKING:
    from fractions import Fraction

    from livestyle.engine.stylizer import Stylizer


PREPARATION = 1
"""Goes into the key of the cache: to be raised when pictures are decoded or scaled in another way."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Style:
    """A style with its name.

    Attributes:
        name: of the preset, of the picture without its suffix, or the text of a mix.
        stats: what the network takes.
        source: the picture that it was encoded from, if it was.
    """

    name: str
    stats: StyleStats
    source: Path | None = None

    def stats_at(self, _time: Fraction | float) -> StyleStats:
        """Its statistics, at every time, see `livestyle.render.look.StyleOverTime`."""
        return self.stats


def default_cache_folder() -> Path:
    """Where style statistics are kept: ``LIVESTYLE_CACHE``, or the user's cache folder of this system."""
    from platformdirs import user_cache_path

    chosen = os.environ.get("LIVESTYLE_CACHE")
    return Path(chosen) if chosen else user_cache_path("livestyle", appauthor=False) / "styles"


class StyleLibrary:
    """Finds styles and keeps their statistics on disk, so that no picture is encoded twice.

    A cached style is found by what its picture contains and by the model's checksum: a picture may be renamed or moved
    freely, and one that changes is encoded anew.

    Args:
        stylizer: encodes what is not in the cache.
        cache_folder: None is `default_cache_folder`. A folder that cannot be written is done without.
        preset_folder: of the user's own presets; None is `livestyle.styles.library.presets.default_preset_folder`.
    """

    def __init__(self, stylizer: Stylizer, cache_folder: Path | None = None, preset_folder: Path | None = None) -> None:
        self._stylizer = stylizer
        self._cache = cache_folder or default_cache_folder()
        self._own_folder = PresetFolder(preset_folder)
        self._own: dict[str, Style] = {}
        self.encoded = 0
        """How many pictures had to be encoded since the start; the rest came from the cache."""

    @cached_property
    def presets(self) -> dict[str, Style]:
        """The styles that come with the model and then the user's own, which have a `Style.source`, by name.

        One of the user's own takes the place of the model's of the same name. Where its picture cannot be read, that is
        said in the log, and it is left out.
        """
        own = {}
        for name in self._own_pictures:
            try:
                own[name] = self._own_style(name)
            except StyleError as error:
                log.warning("the preset %s is left out: %s", name, error)
        return {**self._shipped, **own}

    def first(self) -> Style:
        """The model's first preset, for those who name no style; where it has none, the first of the user's own.

        Raises:
            StyleError: there are no presets.
        """
        for name in self._shipped or self.presets:
            # Not out of all presets, for which each of the user's own would have to be encoded.
            return self.find(name)[0]
        raise StyleError("this model has no presets: name a style picture", setting="style")

    @cached_property
    def _shipped(self) -> dict[str, Style]:
        stored = self._stylizer.model.presets()
        return {name: Style(name, StyleStats(values)) for name, values in stored.items()}

    @cached_property
    def _own_pictures(self) -> dict[str, Path]:
        try:
            return self._own_folder.pictures()
        except StyleError as error:
            # Which is no reason to go without those of the model.
            log.warning("%s", error)
            return {}

    def _own_style(self, name: str) -> Style:
        if name not in self._own:
            path = self._own_pictures[name]
            self._own[name] = Style(name, self.from_image(path).stats, path)
        return self._own[name]

    def _preset(self, name: str) -> Style | None:
        normal = normalize_name(name)
        return self._own_style(normal) if normal in self._own_pictures else self._shipped.get(normal)

    def from_image(self, path: Path) -> Style:
        """The style of a picture file.

        Raises:
            StyleError: the file is missing or no picture.
        """
        try:
            data = path.read_bytes()
        except OSError as error:
            raise StyleError(f"cannot read the style picture {path}: {error.strerror or error}") from error
        key = hashlib.sha256(f"{PREPARATION} {self._stylizer.model.checksum} ".encode() + data).hexdigest()
        values = self._read_cache(key)
        if values is None:
            try:
                image = decode_image(data, path)
            except InputError as error:
                raise StyleError(str(error)) from error
            values = self._stylizer.encode_style(image).values
            self.encoded += 1
            self._write_cache(key, values)
        return Style(path.stem, StyleStats(values), path)

    def matched(self, style: Style, content: np.ndarray) -> Style:
        """The style of a style's picture after its colours have been matched to those of a content, see `match_colors`.

        It is not kept in the cache, since another content makes it another style.

        Args:
            style: of a picture.
            content: uint8 [H, W, 3] or [N, H, W, 3] BGR, of any size.

        Raises:
            StyleError: the style has no picture, or the picture is gone.
        """
        path = style_image(style)
        try:
            # At the size of encoding, which bounds what matching takes.
            image = scale_style_image(read_image(path))
        except InputError as error:
            raise StyleError(str(error)) from error
        return Style(style.name, self._stylizer.encode_style(match_colors(image, content)), path)

    def find(self, text: str) -> list[Style]:
        """The styles that a text names, in order.

        Args:
            text: a preset's name, a picture, a folder of pictures (all of them), or a mix of presets and pictures
                such as ``starry-night:0.7,scream:0.3``, which is one style.

        Raises:
            StyleError: there is no such style, or the mix cannot be read.
        """
        preset = self._preset(text)
        if preset is not None:
            return [preset]
        path = existing_path(text)
        if path is not None and path.is_dir():
            try:
                pictures = images_in(path)
            except InputError as error:
                raise StyleError(str(error)) from error
            if not pictures:
                raise StyleError(f"there is no picture in the folder {path}")
            return [self.from_image(picture) for picture in pictures]
        if path is not None:
            return [self._picture(path)]
        parts = [split_weight(item) for item in text.split(",")]
        if len(parts) == 1 and parts[0][1] is None:
            raise StyleError(self._unknown(text))
        members = [self._one(name) for name, _ in parts]
        weights = [1.0 if weight is None else weight for _, weight in parts]
        return [Style(text, mix([m.stats for m in members], weights))]

    def __getitem__(self, text: str) -> Style:
        """The one style that a text names, see `find`.

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
        return self._picture(path)

    def _picture(self, path: Path) -> Style:
        """The style of a picture; a preset of the user's own where it is its picture, which is what programs save."""
        whole = path.resolve()
        for name, picture in self._own_pictures.items():
            if picture.resolve() == whole:
                return self._own_style(name)
        return self.from_image(path)

    def _unknown(self, name: str) -> str:
        presets = list({**self._shipped, **self._own_pictures})
        folded = {preset.casefold(): preset for preset in presets}
        near = difflib.get_close_matches(normalize_name(name).casefold(), folded, cutoff=0.65)
        if near:
            return (
                f"there is no style {name!r}, did you mean {' or '.join(folded[found] for found in near)}? "
                "livestyle styles list names all presets, and a style may be a picture too"
            )
        return (
            f"there is no style {name!r}: give a picture, a folder of pictures, a mix such as a:0.7,b:0.3, "
            f"or one of the presets: {', '.join(presets) or 'this model has none'}"
        )

    def _read_cache(self, key: str) -> np.ndarray | None:
        try:
            values = np.load(self._cache / f"{key}.npy", allow_pickle=False)
        except (OSError, ValueError, EOFError):
            return None
        fits = values.shape == (self._stylizer.stats_size,) and values.dtype == np.float32
        return values if fits and np.isfinite(values).all() else None

    def _write_cache(self, key: str, values: np.ndarray) -> None:
        partial = self._cache / f"{key}.{os.getpid()}.partial"
        try:
            self._cache.mkdir(parents=True, exist_ok=True)
            with partial.open("wb") as file:
                np.save(file, values)
            os.replace(partial, self._cache / f"{key}.npy")
        except OSError:
            # A read-only home or a full disk costs the next start some time and nothing else.
            with suppress(OSError):
                partial.unlink(missing_ok=True)


def style_image(style: Style) -> Path:
    """The picture of a style whose colours are to be matched.

    Raises:
        StyleError: it has none, as presets and mixes.
    """
    if style.source is None:
        raise StyleError(
            f"the colours of {style.name} cannot be matched, since it is a preset or a mix: "
            "name the picture of a style",
            setting="style",
        )
    return style.source


def existing_path(text: str) -> Path | None:
    """The file or folder that a text names, ``~`` understood; None where there is none."""
    try:
        path = with_home(Path(text))
        return path if text.strip() and path.exists() else None
    except (OSError, ValueError):
        # Too long for a name (a mix of many styles), a zero byte.
        return None


def with_home(path: Path) -> Path:
    """A path whose ``~`` or ``~USER`` is a home folder; itself where there is none of it."""
    try:
        return path.expanduser()
    except RuntimeError:
        return path


def split_weight(item: str) -> tuple[str, float | None]:
    """A member of a mix: its name, and the weight behind a colon if there is one."""
    name, colon, weight = item.strip().rpartition(":")
    if not colon:
        return weight, None
    try:
        return name, float(weight)
    except ValueError:
        return item.strip(), None
