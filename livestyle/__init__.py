"""Live arbitrary style transfer: ``from livestyle import Stylizer``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from .engine import StyleStats, Stylizer
    from .errors import LivestyleError
    from .model import Model
    from .styles import Style, StyleLibrary, mix
    from .temporal import ContentState

_HOMES = {
    "Stylizer": "engine",
    "StyleStats": "engine",
    "LivestyleError": "errors",
    "Model": "model",
    "Style": "styles",
    "StyleLibrary": "styles",
    "mix": "styles",
    "ContentState": "temporal",
}

__all__ = [
    "ContentState",
    "LivestyleError",
    "Model",
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
