"""Model folders: manifest, files, checksums and the contract that the runtime, training and export share.

The contract, version 1 (N frames of H x W pixels, both 64 or more, BGR bytes):

    style.onnx    image uint8 [H, W, 3] -> stats float32 [S]
    stylize.onnx  frames uint8 [N, H, W, 3], stats float32 [S], strength float32 [],
                  content_state float32 [K], momentum float32 []
                  -> stylized uint8 [N, H, W, 3], next_content_state float32 [K]

``stylize.fp16.onnx`` is the same graph with float16 convolutions and float32 statistics, for CUDA.
``stylize.int8.onnx`` is quantised to 8-bit integers, for the CPU: faster, nearly the same result, batch size N = 1
only. It is optional; without it the CPU runs ``stylize.onnx``.

``stylize.regions.onnx`` and ``stylize.regions.fp16.onnx`` are the same networks for two styles in one frame:

    stylize.regions.onnx  as stylize.onnx, but stats float32 [2, S], and one more input, mask uint8 [N, H, W]:
                          255 is the first style, 0 the second, values between them a blend of both

They are optional too; without them a frame has one style.

``model.safetensors`` is the checkpoint from which training continues; the networks read their large weights from it
(ONNX external data), so the files of a folder belong together. The networks of ``classic`` have no such file.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from livestyle.errors import ModelError
from livestyle.files import open_regular, read_json
from livestyle.limits import shown

from .network_file import MOST_BYTES

if TYPE_CHECKING:
    import numpy as np

CONTRACT_VERSION = 1
MINIMUM_SIDE = 64
"""Smallest height and width of a frame or a style image, in pixels."""
STYLE_SIDE = 512
"""Short side of a style image as it is encoded, in pixels; the same in training and evaluation."""
STYLE_LONG_SIDE = 1024
"""Long side of a style image as it is encoded, in pixels; what is longer is cropped to its centre."""

MANIFEST = "manifest.json"
STYLE = "style.onnx"
STYLIZE = "stylize.onnx"
STYLIZE_FP16 = "stylize.fp16.onnx"
STYLIZE_INT8 = "stylize.int8.onnx"
STYLIZE_CONSTANT = "stylize.int8.constant.onnx"
REGIONS = "stylize.regions.onnx"
REGIONS_FP16 = "stylize.regions.fp16.onnx"
PRESETS = "presets.json"
CHECKPOINT = "model.safetensors"
REQUIRED = (STYLE, STYLIZE, STYLIZE_FP16)

DEFAULT_MODEL = "lite"

MOST_FILES = 100
"""Of a model folder."""
MOST_PRESET_BYTES = 64 << 20
"""Size limit of the presets."""
LONGEST_NAME = 100
"""Characters of the name of a model, or of one of its presets."""


@dataclass(frozen=True)
class Manifest:
    """Manifest of a model, ``manifest.json``.

    Attributes:
        name: of the model.
        arch: ``lite``, ``full`` or ``classic``.
        contract: version of the contract; `CONTRACT_VERSION` is the only one that is read.
        stats_size: S, the number of style statistics.
        state_size: K, the number of running content statistics.
        files: SHA-256 in hexadecimal, by file name.
        metrics: evaluation results, by name.
    """

    name: str
    arch: str
    contract: int
    stats_size: int
    state_size: int
    files: dict[str, str]
    metrics: dict[str, Any] = field(default_factory=dict)

    def write(self, folder: Path) -> None:
        """Write ``manifest.json`` into a model folder."""
        (folder / MANIFEST).write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")


def checksum(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with open_regular(path, MOST_BYTES) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@dataclass(frozen=True)
class Model:
    """Model folder that has been verified: every file of the manifest exists and has its checksum."""

    folder: Path
    manifest: Manifest

    @classmethod
    def load(cls, folder: str | Path | None = None) -> Model:
        """Model of a folder, verified.

        Args:
            folder: path of a model folder, or the name of a model that ships with livestyle; None is `DEFAULT_MODEL`.

        Raises:
            ModelError: there is no such folder, or it is damaged, incomplete or of another contract version.
        """
        path = find_model(folder)
        manifest = _read_manifest(path)
        for name in REQUIRED:
            if name not in manifest.files:
                raise ModelError(f"the model in {path} lists no {name}: export it again with python -m export")
        for name, expected in manifest.files.items():
            # Path traversal: a manifest may come from anybody.
            if Path(name).name != name or not _is_inside(path / name):
                raise ModelError(f"the model in {path} names a file outside its folder: do not use it")
            if not (path / name).is_file():
                raise ModelError(f"the model in {path} lacks {name}: copy the whole folder, or install livestyle again")
            try:
                found = checksum(path / name)
            except OSError as error:
                raise ModelError(f"cannot read {path / name}: {error.strerror or error}") from error
            if found != expected:
                raise ModelError(
                    f"{path / name} is damaged or changed (its sha256 differs from the manifest's): "
                    "copy it again, or install livestyle again"
                )
        return cls(path, manifest)

    @property
    def checksum(self) -> str:
        """Cache key of encoded styles: the SHA-256 of the style encoder."""
        return self.manifest.files[STYLE]

    def file(self, name: str) -> Path:
        """Path of a file of the folder."""
        return self.folder / name

    def presets(self) -> dict[str, np.ndarray]:
        """Style statistics, float32 [S], of the presets that ship with the model, by name.

        Raises:
            ModelError: the presets do not belong to this model.
        """
        import numpy as np

        if PRESETS not in self.manifest.files:
            return {}
        try:
            content = read_json(self.file(PRESETS), MOST_PRESET_BYTES)
            # What becomes infinite is refused below.
            with np.errstate(over="ignore"):
                presets = {name: np.asarray(values, np.float32) for name, values in content.items()}
        except (OSError, ValueError, TypeError, AttributeError, OverflowError) as error:
            raise ModelError(f"the presets in {self.folder} cannot be read: copy the model again ({error})") from error
        for name, values in presets.items():
            if not 0 < len(name) <= LONGEST_NAME or not name.isprintable():
                raise ModelError(f"a preset in {self.folder} has a name that cannot be shown: {name[:LONGEST_NAME]!r}")
            if values.shape != (self.manifest.stats_size,) or not np.isfinite(values).all():
                raise ModelError(f"the preset {name!r} in {self.folder} does not belong to this model: export it again")
        return presets


def package_folder(name: str) -> Path:
    """Folder of data files: ``name`` in the installed package, or beside the package in a checkout."""
    inside = Path(__file__).parents[1] / name
    return inside if inside.is_dir() else Path(__file__).parents[2] / name


def shipped_models() -> list[str]:
    """Names of the models that ship with livestyle."""
    return sorted(path.parent.name for path in package_folder("weights").glob(f"*/{MANIFEST}"))


def find_model(folder: str | Path | None = None) -> Path:
    """Folder of a model.

    Args:
        folder: name of a model that ships with livestyle, or a path; None is `DEFAULT_MODEL`.

    Raises:
        ModelError: there is no such model.
    """
    shipped = package_folder("weights")
    is_path = folder is None or isinstance(folder, str | Path)
    for candidate in (shipped / (folder or DEFAULT_MODEL), *([Path(folder)] if folder else [])) if is_path else ():
        # A name may be too long for the file system.
        with suppress(OSError, ValueError):
            if (candidate / MANIFEST).is_file():
                return candidate
    names = shipped_models()
    raise ModelError(
        f"there is no model {shown(str(folder))}: give a folder with a {MANIFEST}, "
        f"or one of: {', '.join(names) or 'none ship'}"
    )


def _is_inside(path: Path) -> bool:
    """Whether a file of a folder is in it, and not elsewhere by a symbolic link."""
    try:
        return path.resolve().parent == path.parent.resolve()
    except (OSError, ValueError, RuntimeError):
        return False


def shipped_name(model: Model) -> str | None:
    """Name of a model that ships with livestyle; None of another."""
    return model.folder.name if model.folder.parent == package_folder("weights") else None


def _read_manifest(folder: Path) -> Manifest:
    path = folder / MANIFEST
    try:
        content = read_json(path)
        manifest = Manifest(**content)
        sizes = (manifest.stats_size, manifest.state_size)
        fits = (
            all(type(size) is int and 0 < size < 1_000_000 for size in sizes)
            and all(isinstance(v, str) for pair in manifest.files.items() for v in pair)
            and len(manifest.files) <= MOST_FILES
            and all(_is_name(text) for text in (manifest.name, manifest.arch))
            and isinstance(manifest.metrics, dict)
        )
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise ModelError(f"{path} is not a readable manifest: copy the model again ({error})") from error
    if manifest.contract != CONTRACT_VERSION:
        raise ModelError(
            f"the model in {folder} speaks contract {str(manifest.contract)[:20]}, this livestyle {CONTRACT_VERSION}: "
            "export it again with the export of this version"
        )
    if not fits:
        raise ModelError(f"{path} is damaged: copy the model again")
    return manifest


def _is_name(text: object) -> bool:
    return isinstance(text, str) and 0 < len(text) <= LONGEST_NAME and text.isprintable()
