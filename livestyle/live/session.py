"""What takes a while to load before anything can be painted."""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from livestyle.engine.stylizer import Stylizer
from livestyle.errors import InputError, LivestyleError, StyleError
from livestyle.media.images import images_in
from livestyle.media.mask import Mask
from livestyle.styles.library import Style, StyleLibrary
from livestyle.styles.regions import find_background
from livestyle.styles.watched_folder import WatchedFolder

from .config import Plan
from .render_thread import Region

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Session:
    """What takes a while to load.

    Attributes:
        first: the style to begin with.
        region: of the mask; None paints all.
        background: the style outside of it; None leaves the camera's picture as it is there.
    """

    stylizer: Stylizer
    library: StyleLibrary
    shelf: WatchedFolder
    first: Style
    region: Region | None
    background: Style | None


def open_session(plan: Plan, device: str, model: str | Path | None) -> Session:
    """Load the model and the style to begin with; the shelf is started.

    Raises:
        LivestyleError: the device, the model, the style, the folder of styles, the mask or what is outside of it cannot
            be used.
    """
    stylizer = Stylizer(model, device)
    library = StyleLibrary(stylizer)
    folder, found = plan.styles, list[Style]()
    if plan.style is not None:
        try:
            found = library.find(plan.style)
        except StyleError as error:
            if not plan.style_is_saved:
                raise
            log.warning("the style of your saved settings is gone: %s", error)
    if folder is not None and plan.styles_are_saved and not folder.is_dir():
        log.warning("the folder of styles of your saved settings is gone: %s", folder)
        folder = None
    region, background = _find_region(stylizer, library, plan) or (None, None)
    presets = list(library.presets.values())
    # Before the shelf would encode the same picture.
    first = found[0] if found else _first_picture(library, folder) or library.first()
    shelf = WatchedFolder(library, presets if first in presets else [*found, *presets], folder)
    shelf.start()
    return Session(stylizer, library, shelf, first, region, background)


def _find_region(stylizer: Stylizer, library: StyleLibrary, plan: Plan) -> tuple[Region, Style | None] | None:
    if plan.mask is None:
        return None
    try:
        with Mask(plan.mask) as mask:
            if not mask.is_still:
                raise InputError(f"{plan.mask} is a video: the mask of a camera is a picture")
        background = find_background(plan.background, library.find)
        if background is not None:
            stylizer.check_regions()
    except LivestyleError as error:
        if not plan.mask_is_saved:
            raise
        log.warning("the mask of your saved settings is left out: %s", error)
        return None
    return Region(mask, None if background is None else background.stats), background


def _first_picture(library: StyleLibrary, folder: Path | None) -> Style | None:
    for path in [] if folder is None else images_in(folder):
        with suppress(StyleError):
            return library.from_image(path)
    return None
