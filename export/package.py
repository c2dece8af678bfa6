"""A checkpoint packaged as a model folder, if the parity of its networks with PyTorch holds."""

from __future__ import annotations

import json
import logging
import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from livestyle.engine.model import (
    CHECKPOINT,
    CONTRACT_VERSION,
    PRESETS,
    REGIONS,
    REGIONS_FP16,
    STYLE,
    STYLIZE,
    STYLIZE_CONSTANT,
    STYLIZE_FP16,
    STYLIZE_INT8,
    Manifest,
    checksum,
    package_folder,
)
from livestyle.errors import LivestyleError
from livestyle.media.images import decode_image
from livestyle.media.resize import fit_size, resize
from train.checkpoints import load_model
from train.data import ImageFile, find_images
from train.networks import CompactModel, CompactStylizer, Model, measured_channels
from train.programs import with_progress

from .onnx_files import rounded_to_float16, write_int8_network, write_networks, write_safetensors
from .parity import Parity, compare
from .presets import read_presets, write_presets
from .published import holds_decoder, load_published

ACTIVITY_IMAGES = 300
"""Number of pictures in which channels that never fire are looked for."""
ACTIVITY_BOX = 448, 448
"""Size that these are fitted into, in pixels."""

log = logging.getLogger(__name__)


def export_model(
    checkpoint: Path,
    target: Path,
    pictures: Sequence[Path],
    presets: Path | None,
    metrics: Path | None,
    vgg: Path | None = None,
) -> Parity:
    """Write the model folder of a checkpoint, or of the published weights of others.

    Args:
        checkpoint: a checkpoint of ``python -m train fit``, the folder of a run, or a model folder's safetensors file;
            with ``vgg`` the decoder of pytorch-AdaIN.
        target: the folder to write; its name becomes the model's name.
        pictures: folders or tar files of real images for the comparison and the presets; with none, frames of the
            bundled clip are compared.
        presets: a table of presets to encode (see docs/presets.toml), whose images are looked up in ``pictures``.
        metrics: a report.json of ``python -m train evaluate`` of this model alone, for the manifest.
        vgg: the encoder of the decoder, see `load_published`.

    Returns:
        The differences between onnxruntime and PyTorch, all within the limits.

    Raises:
        LivestyleError: the checkpoint cannot be read, or onnxruntime's output differs from PyTorch's; then nothing is
            written.
    """
    model, content = _load(checkpoint, vgg)
    rounded = rounded_to_float16(model)
    if content["iteration"] < content.get("last_iteration", 0):
        log.warning("the run stopped at iteration %d of %d", content["iteration"], content["last_iteration"])
    found = find_images(pictures) if pictures else []
    images = _comparison_images(found)
    entries = read_presets(presets, found) if presets is not None else {}
    measured = _read_metrics(metrics) if metrics is not None else {}
    if target.exists() and not target.is_dir():
        raise LivestyleError(f"{target} is a file: name a folder")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}-") as folder:
        work = Path(folder)
        names = [STYLE, STYLIZE, STYLIZE_FP16, REGIONS, REGIONS_FP16]
        if isinstance(rounded, CompactModel):
            # The classic model contains torchvision's VGG, whose weights are not ours to redistribute.
            write_safetensors(rounded, content["arch"], content["iteration"], work / CHECKPOINT)
            names.append(CHECKPOINT)
            if isinstance(rounded.stylizer, CompactStylizer):
                write_int8_network(rounded.stylizer, work, _activity_images(found))
            else:
                log.warning("%s has no network in 8-bit integers: CPUs will run it in float32", content["arch"])
        write_networks(rounded, work)
        parity = compare(model, rounded, work, images)
        if parity.has_int8:
            names += [STYLIZE_INT8, STYLIZE_CONSTANT]
        elif parity.int8_psnr is not None:
            log.warning(
                "the network in 8-bit integers is %.1f dB from float32, its running statistics %.0f %% off, "
                "and is left out",
                parity.int8_psnr,
                100 * parity.int8_state_error,
            )
        if entries:
            write_presets(entries, work)
            names.append(PRESETS)
        manifest = Manifest(
            name=target.name,
            arch=content["arch"],
            contract=CONTRACT_VERSION,
            stats_size=2 * sum(model.site_channels),
            state_size=2 * sum(measured_channels(model)),
            files={name: checksum(work / name) for name in names},
            metrics={
                **measured,
                "frame_path_parameters": sum(p.numel() for p in model.stylizer.parameters()),
                **({} if vgg is not None else {"training_iterations": content["iteration"]}),
                "largest_difference_from_pytorch": parity.largest,
                "fp16_psnr": round(parity.fp16_psnr, 1),
                **({"int8_psnr": round(parity.int8_psnr or 0, 1)} if parity.has_int8 else {}),
            },
        )
        target.mkdir(exist_ok=True)
        # Stale files of an earlier export into the same folder.
        for name in {PRESETS, STYLIZE_INT8, STYLIZE_CONSTANT, CHECKPOINT}.difference(names):
            (target / name).unlink(missing_ok=True)
        for name in names:
            os.replace(work / name, target / name)
        manifest.write(target)
    return parity


def _activity_images(files: Sequence[ImageFile]) -> Iterator[np.ndarray]:
    """Images in which channels that never fire are looked for: at most `ACTIVITY_IMAGES`, and frames of the clip."""
    step = max(1, len(files) // ACTIVITY_IMAGES)
    yield from _comparison_images([])
    for file in with_progress(files[::step][:ACTIVITY_IMAGES], "looking for channels that never fire"):
        image = decode_image(file.read_bytes(), Path(file.name))
        height, width = image.shape[:2]
        yield resize(image, *fit_size(width, height, ACTIVITY_BOX))


def _load(checkpoint: Path, vgg: Path | None) -> tuple[Model, dict[str, Any]]:
    if vgg is not None:
        return load_published(checkpoint, vgg), {"arch": "classic", "iteration": 0}
    try:
        return load_model(checkpoint)
    except LivestyleError as error:
        if holds_decoder(checkpoint):
            raise LivestyleError(
                f"{checkpoint} is the decoder of pytorch-AdaIN: give --vgg the encoder that it was trained with, "
                "vgg_normalised.pth"
            ) from error
        raise


def _comparison_images(files: Sequence[ImageFile]) -> list[np.ndarray]:
    """At most six images for the comparison, uint8 [H, W, 3] BGR; without files, frames of the bundled clip."""
    if files:
        step = max(1, len(files) // 6)
        return [decode_image(file.read_bytes(), Path(file.name)) for file in files[::step][:6]]
    capture = cv2.VideoCapture(str(package_folder("assets") / "demo.mp4"))
    images = []
    while capture.isOpened():
        is_read, frame = capture.read()
        if not is_read:
            break
        images.append(frame)
    if not images:
        raise LivestyleError("the bundled clip cannot be read: give --pictures a folder or tar file of pictures")
    return images[:: max(1, len(images) // 6)][:6]


def _read_metrics(path: Path) -> dict[str, Any]:
    try:
        reports = json.loads(path.read_text(encoding="utf-8"))
        (figures,) = reports.values()
        return dict(figures)
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise LivestyleError(
            f"{path} is not a report.json of python -m train evaluate of one model alone: {error}"
        ) from error
