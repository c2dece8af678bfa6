"""Live arbitrary style transfer: paint cameras, videos and images in the style of any picture.

Example:
    >>> stylizer = Stylizer()
    >>> look = Look(StyleLibrary(stylizer)["scream"], strength=0.8)
    >>> painted = stylize_image(photo, look, stylizer)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from .engine.model import Model
    from .engine.stabilizer import Stabilizer
    from .engine.style import StyleStats, mix
    from .engine.stylizer import Stylizer
    from .errors import DeviceError, InputError, LivestyleError, ModelError, OutputError, StyleError
    from .jobs.batch import stylize_video
    from .jobs.image import stylize_image
    from .jobs.options import VideoOptions
    from .media.capture.sources import open_source
    from .media.mask import Mask
    from .render.color import ColorMode
    from .render.look import Look
    from .render.renderer import Renderer
    from .styles.library import Style, StyleLibrary
    from .styles.timeline import Cue, Timeline

_HOMES = {
    "engine.model": ("Model",),
    "engine.stabilizer": ("Stabilizer",),
    "engine.style": ("StyleStats", "mix"),
    "engine.stylizer": ("Stylizer",),
    "errors": ("DeviceError", "InputError", "LivestyleError", "ModelError", "OutputError", "StyleError"),
    "jobs.batch": ("stylize_video",),
    "jobs.image": ("stylize_image",),
    "jobs.options": ("VideoOptions",),
    "media.capture.sources": ("open_source",),
    "media.mask": ("Mask",),
    "render.color": ("ColorMode",),
    "render.look": ("Look",),
    "render.renderer": ("Renderer",),
    "styles.library": ("Style", "StyleLibrary"),
    "styles.timeline": ("Cue", "Timeline"),
}

__all__ = [
    "ColorMode",
    "Cue",
    "DeviceError",
    "InputError",
    "LivestyleError",
    "Look",
    "Mask",
    "Model",
    "ModelError",
    "OutputError",
    "Renderer",
    "Stabilizer",
    "Style",
    "StyleError",
    "StyleLibrary",
    "StyleStats",
    "Stylizer",
    "Timeline",
    "VideoOptions",
    "__version__",
    "mix",
    "open_source",
    "stylize_image",
    "stylize_video",
]


def __getattr__(name: str) -> Any:
    # Loaded on first use, so that `import livestyle` costs neither numpy nor onnxruntime.
    import importlib

    for home, names in _HOMES.items():
        if name in names:
            return getattr(importlib.import_module(f".{home}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
