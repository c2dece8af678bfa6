"""Live arbitrary style transfer: ``from livestyle import Stylizer``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from .engine.model import Model
    from .engine.stabilizer import Stabilizer
    from .engine.stylizer import StyleStats, Stylizer
    from .errors import LivestyleError
    from .styles.library import Style, StyleLibrary, mix

_HOMES = {
    "Stylizer": "engine.stylizer",
    "StyleStats": "engine.stylizer",
    "LivestyleError": "errors",
    "Model": "engine.model",
    "Style": "styles.library",
    "StyleLibrary": "styles.library",
    "mix": "styles.library",
    "Stabilizer": "engine.stabilizer",
}

__all__ = [
    "LivestyleError",
    "Model",
    "Stabilizer",
    "Style",
    "StyleLibrary",
    "StyleStats",
    "Stylizer",
    "__version__",
    "mix",
]


def __getattr__(name: str) -> Any:
    # Loaded on first use, so that `import livestyle` costs neither numpy nor onnxruntime.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)
