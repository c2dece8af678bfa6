"""A checkpoint becomes a model folder, if onnxruntime paints what PyTorch paints."""

from __future__ import annotations

import contextlib
import copy
import io
import json
import logging
import os
import tempfile
import tomllib
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from livestyle.engine.devices import create_session
from livestyle.engine.model import (
    CHECKPOINT,
    CONTRACT_VERSION,
    MINIMUM_SIDE,
    PRESETS,
    REGIONS,
    REGIONS_FP16,
    STYLE,
    STYLIZE,
    STYLIZE_FP16,
    STYLIZE_INT8,
    Manifest,
    checksum,
    package_folder,
)
from livestyle.engine.stylizer import scale_style_image
from livestyle.errors import LivestyleError
from livestyle.media.images import decode_image
from train.data import PictureFile, find_pictures
from train.fit import load_model
from train.networks import CompactModel, Model

from .graphs import PlainStylizeGraph, StyleGraph, stylize_graph
from .quantize import quantized_graph

OPSET = 18
PARITY_SIZES = ((360, 640), (64, 64), (241, 317), (126, 99), (512, 383), (67, 66))
"""Height and width of the frames that PyTorch and onnxruntime are compared on."""
LARGEST_DIFFERENCE = 1
"""Grey levels that onnxruntime's float32 output may be off, anywhere."""
LEAST_FP16_PSNR = 40.0
"""Decibels between the float16 and the float32 output, at least."""
LEAST_INT8_PSNR = 28.0
"""Decibels between the output of the network in 8-bit integers and the float32 one, at least; else it is left out."""
STATE_TOLERANCE = 1e-4
"""Relative difference of running content statistics, float32 network; a twentieth of it, of the largest of the site,
for channels near zero, which are as inexact as the largest that are summed with them."""
LARGEST_FP16_STATE_ERROR = 2e-3
"""Norm of the difference of running content statistics over their norm, float16 network."""
LARGEST_INT8_STATE_ERROR = 0.1
"""The same of the network in 8-bit integers; else it is left out."""
LEAST_HALVED = 8192
"""Values of a tensor that is stored in float16, at least. Smaller ones save nothing, and variances are too small for
it."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Parity:
    """How far onnxruntime is from PyTorch on the same frames and styles.

    Attributes:
        largest: greatest difference of a byte, float32 network, from the model whose large weights are rounded.
        style: greatest difference of a style statistic from the model as it was trained.
        fp16_psnr: least PSNR of the float16 network against the model as it was trained, in float32, in dB.
        int8_psnr: the same of the network in 8-bit integers; None where there is none.
        int8_state_error: of its running content statistics, see `LARGEST_INT8_STATE_ERROR`.
    """

    largest: int
    style: float
    fp16_psnr: float
    int8_psnr: float | None
    int8_state_error: float = 0.0

    @property
    def has_int8(self) -> bool:
        """Whether there is a network in 8-bit integers that is near enough to ship."""
        return (
            self.int8_psnr is not None
            and self.int8_psnr >= LEAST_INT8_PSNR
            and self.int8_state_error <= LARGEST_INT8_STATE_ERROR
        )


def export_model(
    checkpoint: Path, target: Path, pictures: Sequence[Path], presets: Path | None, metrics: Path | None
) -> Parity:
    """Write the model folder of a checkpoint.

    Args:
        checkpoint: a checkpoint of ``python -m train fit``, its folder, or a model folder's safetensors file.
        target: the folder to write; its name becomes the model's name.
        pictures: folders or tar files of real pictures for the comparison and the presets; none takes frames of the
            bundled clip for the comparison.
        presets: a table of presets to encode (see docs/presets.toml); its pictures are looked up in ``pictures``.
        metrics: a report.json of ``python -m train evaluate`` of this model alone, for the manifest.

    Raises:
        LivestyleError: the checkpoint cannot be read, or onnxruntime's output differs from PyTorch's; then nothing is
            written.
    """
    model, content = load_model(checkpoint)
    rounded = rounded_to_float16(model)
    if content["iteration"] < content.get("last_iteration", 0):
        log.warning("the run stopped at iteration %d of %d", content["iteration"], content["last_iteration"])
    found = find_pictures(pictures) if pictures else []
    images = _comparison_images(found)
    entries = _read_presets(presets, found) if presets is not None else {}
    measured = _read_metrics(metrics) if metrics is not None else {}
    if target.exists() and not target.is_dir():
        raise LivestyleError(f"{target} is a file: name a folder")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}-") as folder:
        work = Path(folder)
        names = [STYLE, STYLIZE, STYLIZE_FP16, REGIONS, REGIONS_FP16]
        if isinstance(rounded, CompactModel):
            # The classic network carries torchvision's VGG, which is not ours to pass on as a checkpoint.
            _write_safetensors(rounded, content, work / CHECKPOINT)
            names.append(CHECKPOINT)
            write_int8_network(rounded, work)
        write_networks(rounded, work)
        parity = compare(model, rounded, work, images)
        if parity.has_int8:
            names.append(STYLIZE_INT8)
        elif parity.int8_psnr is not None:
            log.warning(
                "the network in 8-bit integers is %.1f dB from float32, its running statistics %.0f %% off, "
                "and is left out",
                parity.int8_psnr,
                100 * parity.int8_state_error,
            )
        if entries:
            _write_presets(entries, work)
            names.append(PRESETS)
        manifest = Manifest(
            name=target.name,
            arch=content["arch"],
            contract=CONTRACT_VERSION,
            stats_size=2 * sum(model.site_channels),
            state_size=2 * sum(model.site_channels),
            files={name: checksum(work / name) for name in names},
            metrics={
                **measured,
                "frame_path_parameters": sum(p.numel() for p in model.stylizer.parameters()),
                "training_iterations": content["iteration"],
                "largest_difference_from_pytorch": parity.largest,
                "fp16_psnr": round(parity.fp16_psnr, 1),
                **({"int8_psnr": round(parity.int8_psnr or 0, 1)} if parity.has_int8 else {}),
            },
        )
        target.mkdir(exist_ok=True)
        # Those of an earlier export do not belong to these networks.
        for name in {PRESETS, STYLIZE_INT8, CHECKPOINT}.difference(names):
            (target / name).unlink(missing_ok=True)
        for name in names:
            os.replace(work / name, target / name)
        manifest.write(target)
    return parity


def write_networks(model: Model, folder: Path) -> None:
    """Write style.onnx of a model and, each in float32 and float16, stylize.onnx and stylize.regions.onnx.

    Where the model's checkpoint is in the folder, they read what they share with it from there.
    """
    size = 2 * sum(model.site_channels)
    height, width = (torch.export.Dim(name, min=MINIMUM_SIDE, max=16384) for name in "HW")
    image = torch.zeros(MINIMUM_SIDE + 5, MINIMUM_SIDE + 14, 3, dtype=torch.uint8)
    _write(StyleGraph(model), (image,), folder / STYLE, ["image"], ["stats"], {"image": {0: height, 1: width}})
    frames = image.expand(2, -1, -1, -1).contiguous()
    inputs = (frames, torch.ones(size), torch.tensor(1.0), torch.zeros(size), torch.tensor(0.0))
    names = ["frames", "stats", "strength", "content_state", "momentum"]
    dims: dict[str, Any] = dict.fromkeys(names)
    dims["frames"] = {0: torch.export.Dim("N", min=1, max=256), 1: height, 2: width}
    outputs = ["stylized", "next_content_state"]
    for name, half in ((STYLIZE, False), (STYLIZE_FP16, True)):
        _write(stylize_graph(model.stylizer, half), inputs, folder / name, names, outputs, dims)
    two = (frames, torch.ones(2, size), *inputs[2:], frames[..., 0].contiguous())
    names, dims = [*names, "mask"], dims | {"mask": dims["frames"]}
    for name, half in ((REGIONS, False), (REGIONS_FP16, True)):
        _write(stylize_graph(model.stylizer, half), two, folder / name, names, outputs, dims)


def write_int8_network(model: CompactModel, folder: Path) -> None:
    """Write stylize.int8.onnx of a model; see `write_networks`."""
    # Its weights are rounded to bytes in any case.
    _store(quantized_graph(model.stylizer), folder / STYLIZE_INT8, exactly=False)


def _write(
    graph: nn.Module,
    inputs: tuple[Tensor, ...],
    path: Path,
    names: list[str],
    outputs: list[str],
    dims: dict[str, Any],
) -> None:
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            graph.eval(),
            inputs,
            input_names=names,
            output_names=outputs,
            opset_version=OPSET,
            dynamic_shapes=dims,
            dynamo=True,
            verbose=False,
        )
    assert program is not None
    proto = program.model_proto
    if "stylized" in outputs:
        # The exporter writes the sizes that come back as the arithmetic that made them.
        for dim, name in zip(proto.graph.output[0].type.tensor_type.shape.dim, "NHW", strict=False):
            dim.dim_param = name
    # Names of source files and stack traces: a sixth of the file, and paths of this machine.
    del proto.graph.value_info[:], proto.graph.metadata_props[:], proto.metadata_props[:]
    for node in proto.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    _store(proto, path)


def _store(proto: Any, path: Path, exactly: bool = True) -> None:
    store_in_float16(proto.graph, exactly)
    checkpoint = path.with_name(CHECKPOINT)
    if checkpoint.is_file():
        leave_in_checkpoint(proto.graph, checkpoint)
    path.write_bytes(proto.SerializeToString())


def rounded_to_float16(model: Model) -> Model:
    """A model with its large weights rounded, so that all files can hold the very same values in half the bytes."""
    rounded = copy.deepcopy(model)
    for value in rounded.state_dict().values():
        if value.numel() >= LEAST_HALVED:
            value.copy_(value.half())
    return rounded


def store_in_float16(graph: Any, exactly: bool) -> None:
    """Store large float32 constants of an ONNX graph in float16; onnxruntime makes them float32 when it loads them.

    With ``exactly``, those that float16 would round once more, since they were computed from weights that were rounded
    before, stay as they are.
    """
    from onnx import TensorProto, helper, numpy_helper

    large = [t for t in graph.initializer if t.data_type == TensorProto.FLOAT and np.prod(t.dims) >= LEAST_HALVED]
    casts = []
    for tensor in large:
        name, values = tensor.name, numpy_helper.to_array(tensor)
        halves = values.astype(np.float16)
        if not exactly or np.array_equal(halves, values):
            tensor.CopyFrom(numpy_helper.from_array(halves, f"{name}.float16"))
            casts.append(helper.make_node("Cast", [tensor.name], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)


def leave_in_checkpoint(graph: Any, checkpoint: Path) -> None:
    """Have the large float16 constants of an ONNX graph that are in a safetensors file read from there.

    Five networks hold the same weights, and a folder would be several times as large.
    """
    from onnx import TensorProto

    data = checkpoint.read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    places = {}
    for name, tensor in json.loads(data[8:start]).items():
        if name != "__metadata__" and tensor["dtype"] == "F16":
            first, last = (start + offset for offset in tensor["data_offsets"])
            places[data[first:last]] = {"location": checkpoint.name, "offset": first, "length": last - first}
    for constant in graph.initializer:
        place = places.get(constant.raw_data)
        if place is not None and constant.data_type == TensorProto.FLOAT16:
            constant.ClearField("raw_data")
            constant.data_location = TensorProto.EXTERNAL
            for key, value in place.items():
                constant.external_data.add(key=key, value=str(value))


def compare(model: Model, rounded: Model, folder: Path, images: Sequence[np.ndarray]) -> Parity:
    """Compare a folder's networks with PyTorch on real pictures, at several sizes, strengths and momenta.

    Args:
        model: as it was trained, for the style statistics and the PSNR.
        rounded: as it was written, for the bytes, see `rounded_to_float16`.
        folder: of the networks.
        images: uint8 [H, W, 3] BGR.

    Raises:
        LivestyleError: they differ by more than `LARGEST_DIFFERENCE` grey level or `STATE_TOLERANCE`, or the float16
            network is off.
    """
    names = (STYLE, STYLIZE, STYLIZE_FP16, REGIONS, REGIONS_FP16)
    sessions = {name: create_session(folder / name, "cpu") for name in names}
    int8 = create_session(folder / STYLIZE_INT8, "cpu") if (folder / STYLIZE_INT8).is_file() else None
    largest, style_error, psnr, int8_psnr, int8_state_error = 0, 0.0, float("inf"), float("inf"), 0.0
    style_graph = StyleGraph(model).eval()
    trained, reference = (PlainStylizeGraph(m.stylizer).eval() for m in (model, rounded))
    state = np.zeros(2 * sum(model.site_channels), np.float32)
    for index, (height, width) in enumerate(PARITY_SIZES):
        frame = cv2.resize(images[index % len(images)], (width, height), interpolation=cv2.INTER_AREA)
        frames = np.stack([frame, np.ascontiguousarray(frame[:, ::-1])])
        stats = []
        first = scale_style_image(images[(index + 1) % len(images)])
        # Two styles that differ whatever the pictures are, or a mask would make no difference.
        for picture in (first, 255 - first):
            stats.append(sessions[STYLE].run(None, {"image": picture})[0])
            with torch.inference_mode():
                expected_stats = style_graph(torch.from_numpy(picture)).numpy()
            style_error = float(np.maximum(style_error, np.abs(stats[-1] - expected_stats).max()))
        feeds = {
            "frames": frames,
            "stats": stats[0],
            "strength": np.array(1.0 if index % 2 == 0 else 0.6, np.float32),
            "content_state": state,
            "momentum": np.array(0.0 if index == 0 else 0.5, np.float32),
        }
        # Any picture is a mask with soft and hard borders.
        regions = feeds | {"stats": np.stack(stats), "mask": np.ascontiguousarray(frames[..., 1])}
        for name, half_name, given in ((REGIONS, REGIONS_FP16, regions), (STYLIZE, STYLIZE_FP16, feeds)):
            expected, expected_state = _in_pytorch(reference, given)
            unrounded = _in_pytorch(trained, given)[0]
            painted, next_state = sessions[name].run(None, given)
            largest = max(largest, int(np.abs(painted.astype(np.int16) - expected).max()))
            halved, half_state = sessions[half_name].run(None, given)
            psnr = min(psnr, _psnr(halved, unrounded))
            if (
                not _is_same_state(next_state, expected_state, model.site_channels)
                or not _state_error(half_state, expected_state) <= LARGEST_FP16_STATE_ERROR
            ):
                raise LivestyleError(
                    "onnxruntime's running content statistics differ from PyTorch's: nothing was written"
                )
            if int8 is not None and name == STYLIZE:
                one = given | {"frames": frames[:1]}
                expected_state = _in_pytorch(reference, one)[1]
                int8_state_error = float(
                    np.maximum(int8_state_error, _state_error(int8.run(None, one)[1], expected_state))
                )
                # What a byte can hold comes from the statistics of the frames before, so these have to be of one film.
                one["content_state"] = next_state
                int8_psnr = min(int8_psnr, _psnr(int8.run(None, one)[0], _in_pytorch(trained, one)[0]))
        state = next_state
    if largest > LARGEST_DIFFERENCE or not style_error <= 1e-2:
        raise LivestyleError(
            f"onnxruntime's output differs from PyTorch's by {largest} grey levels "
            f"(style statistics: {style_error:.2g}): "
            "nothing was written"
        )
    if not psnr >= LEAST_FP16_PSNR:
        raise LivestyleError(f"the float16 network is only {psnr:.1f} dB from the float32 one: nothing was written")
    return Parity(largest, style_error, psnr, None if int8 is None else int8_psnr, int8_state_error)


def _in_pytorch(graph: nn.Module, feeds: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    with torch.inference_mode():
        painted, state = graph(**{name: torch.from_numpy(value) for name, value in feeds.items()})
    return painted.numpy(), state.numpy()


def _is_same_state(state: np.ndarray, expected: np.ndarray, site_channels: Sequence[int]) -> bool:
    """Whether running content statistics are the same but for rounding, site by site."""
    ends = np.cumsum([2 * channels for channels in site_channels])[:-1]
    return all(
        np.allclose(own, other, rtol=STATE_TOLERANCE, atol=STATE_TOLERANCE / 20 * np.abs(other).max())
        for own, other in zip(np.split(state, ends), np.split(expected, ends), strict=True)
    )


def _state_error(state: np.ndarray, expected: np.ndarray) -> float:
    return float(np.linalg.norm(state - expected) / np.linalg.norm(expected))


def _psnr(painted: np.ndarray, expected: np.ndarray) -> float:
    """In dB, of bytes."""
    error = np.square(painted.astype(np.float64) - expected).mean()
    return 10 * float(np.log10(255**2 / max(error, 1e-9)))


def _comparison_images(pictures: Sequence[PictureFile]) -> list[np.ndarray]:
    if pictures:
        step = max(1, len(pictures) // 6)
        return [decode_image(p.read_bytes(), Path(p.name)) for p in pictures[::step][:6]]
    capture = cv2.VideoCapture(str(package_folder("assets") / "demo.mp4"))
    images = []
    while capture.isOpened():
        fine, frame = capture.read()
        if not fine:
            break
        images.append(frame)
    if not images:
        raise LivestyleError("the bundled clip cannot be read: give --pictures a folder or tar file of pictures")
    return images[:: max(1, len(images) // 6)][:6]


def _write_safetensors(model: Model, content: dict[str, Any], path: Path) -> None:
    from safetensors.torch import save_file

    values = {k: v.contiguous() for k, v in model.state_dict().items() if not k.startswith("statistics_reader.")}
    values = {k: v.half() if v.numel() >= LEAST_HALVED else v for k, v in values.items()}
    save_file(values, path, {"arch": content["arch"], "iteration": str(content["iteration"])})
    path.chmod(0o644)


def _read_presets(table: Path, pictures: Sequence[PictureFile]) -> dict[str, np.ndarray]:
    """The pictures of a table of presets, uint8 [H, W, 3] BGR, by the preset's name."""
    by_name = {Path(p.name).name: p for p in pictures}
    found: dict[str, np.ndarray] = {}
    try:
        entries = [
            (entry["name"], entry["file"]) for entry in tomllib.loads(table.read_text(encoding="utf-8"))["preset"]
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LivestyleError(f"{table} is not a table of presets with a name and a file each: {error}") from error
    for name, file in entries:
        if file not in by_name:
            raise LivestyleError(f"the picture {file} of the preset {name} is in none of --pictures")
        found[name] = decode_image(by_name[file].read_bytes(), Path(file))
    return found


def _read_metrics(path: Path) -> dict[str, Any]:
    try:
        reports = json.loads(path.read_text(encoding="utf-8"))
        (figures,) = reports.values()
        return dict(figures)
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise LivestyleError(
            f"{path} is not a report.json of python -m train evaluate of one model alone: {error}"
        ) from error


def _write_presets(pictures: dict[str, np.ndarray], folder: Path) -> None:
    session = create_session(folder / STYLE, "cpu")
    presets: dict[str, list[float]] = {}
    for name, image in pictures.items():
        stats = session.run(None, {"image": scale_style_image(image)})[0]
        presets[name] = [float(f"{value:.5g}") for value in stats]
    (folder / PRESETS).write_text(json.dumps(presets) + "\n", encoding="utf-8")
