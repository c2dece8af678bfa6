"""The session of a run of the live program: its model, styles, mask and background, which take a while to load."""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from livestyle.engine.stylizer import Stylizer
from livestyle.errors import InputError, LivestyleError, StyleError
from livestyle.media.images import images_in
from livestyle.media.mask import Mask
from livestyle.render.look import Look
from livestyle.styles.library import Style, StyleLibrary, existing_path
from livestyle.styles.regions import find_background
from livestyle.styles.timeline import Timeline
from livestyle.styles.watched_folder import WatchedFolder

from .config import Config

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Session:
    """What a run works with.

    Attributes:
        stylizer: model and device.
        library: encodes style images.
        folder: the styles that keys choose from, which are watched.
        first: the style to begin with.
        look: to begin with, in that style.
        background: the style outside the mask; None leaves the camera's image there.
    """

    stylizer: Stylizer
    library: StyleLibrary
    folder: WatchedFolder
    first: Style
    look: Look
    background: Style | None


def open_session(config: Config, device: str, model: str | Path | None) -> Session:
    """Load the model and the style to begin with, and start to watch the folder of styles.

    A saved style, folder or mask that cannot be used any more is logged and left out.

    Raises:
        LivestyleError: the device, the model, the style, the folder of styles, the mask or the background cannot be
            used.
    """
    stylizer = Stylizer(model, device)
    library = StyleLibrary(stylizer)
    folder, found = config.styles, list[Style]()
    if config.style is not None:
        try:
            found = library.find(config.style)
        except StyleError as error:
            if not config.style_is_saved:
                raise
            # Not the list of all presets, which the sentence of a style that is asked for has.
            gone = existing_path(config.style) is None
            reason = f"is gone: {config.style}" if gone else f"cannot be used: {error}"
            log.warning("the style of your saved settings %s", reason)
    if folder is not None and config.styles_are_saved and not folder.is_dir():
        log.warning("the folder of styles of your saved settings is gone: %s", folder)
        folder = None
    mask, background = _open_mask(stylizer, library, config)
    presets = list(library.presets.values())
    # Before the folder is watched, whose thread would encode the same image at the same time.
    first = found[0] if found else _first_in(library, folder) or library.first()
    look = Look(Timeline.of(first), mask=mask, background=background, **config.look)
    watched = WatchedFolder(library, presets if first in presets else [*found, *presets], folder)
    watched.start()
    return Session(stylizer, library, watched, first, look, background)


def _open_mask(stylizer: Stylizer, library: StyleLibrary, config: Config) -> tuple[Mask | None, Style | None]:
    if config.mask is None:
        return None, None
    try:
        with Mask(config.mask) as mask:
            if not mask.is_still:
                raise InputError(f"{config.mask} is a video: the mask of a camera is a picture")
        background = find_background(config.background, library.find)
        if background is not None:
            stylizer.check_regions()
    except LivestyleError as error:
        if not config.mask_is_saved:
            raise
        log.warning("the mask of your saved settings is left out: %s", error)
        return None, None
    return mask, background


def _first_in(library: StyleLibrary, folder: Path | None) -> Style | None:
    for path in [] if folder is None else images_in(folder):
        with suppress(StyleError):
            return library.from_image(path)
    return None
