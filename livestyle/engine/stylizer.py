"""The engine: style pictures into style statistics, frames into paintings."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from livestyle.errors import DeviceError, InputError, ModelError, StyleError

from .devices import Device, choose_device, create_session, first_line
from .model import (
    MINIMUM_SIDE,
    REGIONS,
    REGIONS_FP16,
    STYLE,
    STYLE_LONG_SIDE,
    STYLE_SIDE,
    STYLIZE,
    STYLIZE_FP16,
    STYLIZE_INT8,
    Model,
)
from .stabilizer import Stabilizer

SHAPES_KEPT = 4
"""For so many shapes of frames what was set up for them is kept."""
BROADEST_STROKES = 16
FAINT_DEVIATION = 10.0
"""Levels by which a frame's colours deviate from their mean, at least, where it is painted in full. A picture of bare
asphalt has 12; less have the end of a fade to black, a covered lens and an empty wall."""


@dataclass(frozen=True, eq=False)
class StyleStats:
    """A style as the network takes it: the target means and deviations of its AdaIN sites.

    Attributes:
        values: float32 [S], read-only; S is the model's ``stats_size``.
    """

    values: np.ndarray

    def __post_init__(self) -> None:
        values = np.array(self.values, np.float32)
        values.flags.writeable = False
        object.__setattr__(self, "values", values)


class Stylizer:
    """Paints frames in a style.

    Args:
        model: a model folder, the name of one that ships (``lite``, ``full``), or None for the default.
        device: ``auto`` (CUDA where it starts, else the CPU), ``cpu``, ``cuda``, or ``cpu-float32``: otherwise the CPU
            paints in 8-bit integers where the model can, which is quicker and nearly the same.
        threads: of the CPU; None uses all cores this process may use.

    Raises:
        ModelError: the model folder is missing or damaged.
        DeviceError: the device does not start.

    Example:
        >>> stylizer = Stylizer()
        >>> style = stylizer.encode_style(cv2.imread("painting.jpg"))
        >>> painted = stylizer.stylize(cv2.imread("photo.jpg"), style)
    """

    def __init__(self, model: str | Path | None = None, device: str = "auto", threads: int | None = None) -> None:
        self.model = Model.load(model)
        self._threads = threads
        self.device: Device = choose_device(
            device, self.model.file(STYLIZE_FP16), threads, STYLIZE_INT8 in self.model.manifest.files
        )
        """The device that really runs; ``device.text`` says it in one line."""
        self._painter = _Painter(self.model, self.device, threads)
        self._regions_painter: _Painter | None = None
        self._exact_painter: _Painter | None = None
        self._encoder: Any = None

    @property
    def stats_size(self) -> int:
        """S, the floats of a style of this model."""
        return self.model.manifest.stats_size

    def encode_style(self, image: np.ndarray) -> StyleStats:
        """Style statistics of a picture; worth keeping, for they are all that a style needs.

        Args:
            image: uint8 [H, W, 3] BGR, any size; its short side is scaled to 512 pixels first.

        Raises:
            InputError: ``image`` is not such an array.
        """
        _check_image(image, "a style picture")
        if self._encoder is None:
            # Once per style and small: the CPU runs it everywhere, to the same statistics.
            self._encoder = create_session(self.model.file(STYLE), "cpu", self._threads)
            check_shapes(self._encoder, {"stats": [self.stats_size]}, self.model)
        stats: np.ndarray = self._encoder.run(None, {"image": scale_style_image(image)})[0]
        return StyleStats(stats)

    def stylize(
        self,
        frames: np.ndarray,
        style: StyleStats,
        strength: float = 1.0,
        state: Stabilizer | None = None,
        *,
        mask: np.ndarray | None = None,
        background: StyleStats | None = None,
        stroke_size: float = 1.0,
    ) -> np.ndarray:
        """Paint a frame, or several frames of one size; with a mask, in two styles at once.

        AdaIN gives a frame the style's contrast however little it has itself, so that a film that fades to black would
        not, and an empty wall would boil. So a frame of little contrast is blended with its painting: from nothing of
        it, where all is of one colour, to all of it, where its colours have a deviation of `FAINT_DEVIATION` levels.

        Args:
            frames: uint8 [H, W, 3] or [N, H, W, 3], BGR, 64 pixels or more each way.
            style: of this model.
            strength: 0..1; 0 gives the frames back, in between the AdaIN statistics are interpolated.
            state: of the film that the frames belong to, see `Stabilizer`; it is read and updated. None treats every
                frame on its own.
            mask: uint8 [H, W], for all frames, or [N, H, W]: 255 paints in ``style``, 0 in ``background``, and what
                lies between blends them. None is ``style`` everywhere.
            background: the style where the mask is 0, painted in the same pass; None leaves the frame as it is there.
            stroke_size: how many times as wide strokes are, 1..16: the frames are painted at so much less width and
                height, but no less than 64 pixels, and the painting is enlarged again. What it lacks in detail by that
                is taken from the frames where the strength is below 1.

        Returns:
            The painted frames, uint8, the shape of ``frames``.

        Raises:
            InputError: ``frames`` or ``mask`` is no such array, ``strength`` or ``stroke_size`` is out of range, or a
                background has no mask.
            StyleError: a style belongs to another model.
            ModelError: the model cannot paint in two styles at once.
        """
        _check_image(frames, "a frame", batch=True)
        check_strength(strength)
        check_stroke_size(stroke_size)
        self._check_style(style)
        if background is not None:
            self._check_style(background)
            if mask is None:
                raise InputError("a background needs a mask that says where it is")
        if mask is not None:
            _check_mask(mask, frames)
            if background is None:
                return lay_over(frames, self.stylize(frames, style, strength, state, stroke_size=stroke_size), mask)
        if strength == 0:
            if state is not None:
                # The network does not see these frames, and what it saw before will be out of date.
                state.reset()
            return frames.copy()
        whole = frames[None] if frames.ndim == 3 else frames
        styles = (style,) if background is None else (style, background)
        masks = None if mask is None else np.broadcast_to(mask, whole.shape[:3])
        height, width = whole.shape[1:3]
        factor = min(1.0, max(1 / stroke_size, MINIMUM_SIDE / min(height, width)))
        batch = whole
        if factor < 1:
            size = round(width * factor), round(height * factor)
            batch, masks = _resized(whole, size), None if masks is None else _resized(masks, size)
        painter = self._painter if mask is None else self._painter_of_regions()
        if len(batch) == 1 or (state is None and not painter.samples):
            painted = self._run(painter, batch, styles, strength, state, masks)
        else:
            # One at a time where scenes may change between two frames of the batch.
            places = [slice(n, n + 1) for n in range(len(batch))]
            painted = np.concatenate(
                [
                    self._run(painter, batch[n], styles, strength, state, None if masks is None else masks[n])
                    for n in places
                ]
            )
        if factor < 1:
            painted = _enlarged(painted, batch, whole, strength)
        for frame, painting in zip(whole, painted, strict=True):
            _fade_faint(frame, painting)
        return painted.reshape(frames.shape)

    def _check_style(self, style: StyleStats) -> None:
        if style.values.shape != (self.stats_size,):
            raise StyleError(
                f"the style has {style.values.size} statistics and the model {self.model.manifest.name} "
                f"takes {self.stats_size}: encode the style with this model"
            )

    def _run(
        self,
        painter: _Painter,
        frames: np.ndarray,
        styles: tuple[StyleStats, ...],
        strength: float,
        state: Stabilizer | None,
        mask: np.ndarray | None,
    ) -> np.ndarray:
        values, momentum = None, 0.0
        if state is not None:
            state.look(frames[0])
            frames = state.steady(frames[0])[None]
        if painter.samples:
            look = state or Stabilizer()
            look.look_closer(frames[0])
            if look.is_sparse:
                painter = self._painter_of_all()
        if state is not None:
            values = state.values
            momentum = state.momentum if values is not None else 0.0
        if values is None:
            values = np.zeros(self.model.manifest.state_size, np.float32)
        painted, next_values = painter.paint(frames, styles, strength, values, momentum, mask)
        if state is not None and not state.is_flat:
            state.values = next_values
        return painted

    def _painter_of_all(self) -> _Painter:
        """One that looks at every pixel; made on first use, for most frames do not need it."""
        if self._exact_painter is None:
            self._exact_painter = _Painter(self.model, replace(self.device, exact=True), self._threads)
        return self._exact_painter

    def _painter_of_regions(self) -> _Painter:
        """Made on first use, for most never need it."""
        if self._regions_painter is None:
            self._regions_painter = _Painter(self.model, self.device, self._threads, regions=True)
        return self._regions_painter

    def check_regions(self) -> None:
        """Raise a `ModelError` where the model cannot paint in two styles at once."""
        self._painter_of_regions()

    def warm_up(self, height: int, width: int, regions: bool = False) -> None:
        """Run once at a frame size, so that the first real frame is not the slow one.

        Args:
            height: of the frames, in pixels.
            width: of the frames, in pixels.
            regions: for two styles at once.

        Raises:
            ModelError: the model cannot paint in two styles at once.
        """
        frame, style = np.zeros((height, width, 3), np.uint8), StyleStats(np.ones(self.stats_size, np.float32))
        if regions:
            self.stylize(frame, style, mask=frame[..., 0], background=style)
        else:
            self.stylize(frame, style)


class _Painter:
    """Sessions of stylize.onnx by the shape of frames, the last few shapes kept.

    On the CPU one session paints all shapes; on CUDA each has its own, which takes a while, see `create_session`.

    Args:
        model: whose network.
        device: which runs it; the CPU takes stylize.int8.onnx where the model has it and float32 was not asked for.
        threads: of the CPU.
        regions: stylize.regions.onnx, which takes two styles and a mask.

    Attributes:
        samples: whether it is the network in 8-bit integers, which paints one frame at a time and takes statistics
            from a sample of its pixels: it does not see what is small and stands out from much that is even.

    Raises:
        ModelError: the model has no such network.
    """

    def __init__(self, model: Model, device: Device, threads: int | None, regions: bool = False) -> None:
        single, half = (REGIONS, REGIONS_FP16) if regions else (STYLIZE, STYLIZE_FP16)
        name = half if device.kind == "cuda" else single
        if name == STYLIZE and not device.exact and STYLIZE_INT8 in model.manifest.files:
            name = STYLIZE_INT8
        self.samples = name == STYLIZE_INT8
        if name not in model.manifest.files:
            raise ModelError(
                f"the model in {model.folder} cannot paint in two styles at once, for it has no {name}: "
                "export it again with python -m export, or leave the background out"
            )
        self._path = model.file(name)
        self._device = device.kind
        stats = model.manifest.stats_size
        self._sizes: dict[str, list[int]] = {
            "stats": [2, stats] if regions else [stats],
            "content_state": [model.manifest.state_size],
        }
        self._session: Any = None
        if device.kind == "cpu":
            self._session = create_session(self._path, device.kind, threads)
            check_shapes(self._session, self._sizes, model)
        self._bound: dict[tuple[int, ...], _Binding] = {}

    def paint(
        self,
        frames: np.ndarray,
        styles: tuple[StyleStats, ...],
        strength: float,
        state: np.ndarray,
        momentum: float,
        mask: np.ndarray | None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Painted frames and the next running content statistics; shapes as in the contract."""
        shape = frames.shape
        binding = self._bound.pop(shape, None)
        if binding is None:
            session = self._session or create_session(self._path, self._device, shape=(shape[0], shape[1], shape[2]))
            binding = _Binding(session, self._device, shape, self._sizes)
            if len(self._bound) == SHAPES_KEPT:
                # A dict keeps its order: the first is the one that was used longest ago.
                del self._bound[next(iter(self._bound))]
        self._bound[shape] = binding
        return binding.run(frames, styles, strength, state, momentum, mask)


class _Binding:
    """A session with its inputs and outputs bound to buffers that stay on the device, for frames of one shape."""

    def __init__(self, session: Any, device: str, shape: tuple[int, ...], lengths: dict[str, list[int]]) -> None:
        import onnxruntime as ort

        self._session = session
        self._styles: tuple[StyleStats, ...] = ()
        state = (tuple(lengths["content_state"]), np.float32)
        sizes: dict[str, tuple[tuple[int, ...], type[np.generic]]] = {
            "frames": (shape, np.uint8),
            "mask": (shape[:3], np.uint8),
            "stats": (tuple(lengths["stats"]), np.float32),
            "strength": ((), np.float32),
            "content_state": state,
            "momentum": ((), np.float32),
            "stylized": (shape, np.uint8),
            "next_content_state": state,
        }
        inputs, outputs = ([value.name for value in found] for found in (session.get_inputs(), session.get_outputs()))
        self._buffers: dict[str, Any] = {
            name: ort.OrtValue.ortvalue_from_shape_and_type(*sizes[name], device, 0) for name in (*inputs, *outputs)
        }
        self._binding = session.io_binding()
        for name in inputs:
            self._binding.bind_ortvalue_input(name, self._buffers[name])
        for name in outputs:
            self._binding.bind_ortvalue_output(name, self._buffers[name])

    def run(
        self,
        frames: np.ndarray,
        styles: tuple[StyleStats, ...],
        strength: float,
        state: np.ndarray,
        momentum: float,
        mask: np.ndarray | None,
    ) -> tuple[np.ndarray, np.ndarray]:
        self._set("frames", frames)
        if mask is not None:
            self._set("mask", mask)
        if styles != self._styles:
            self._set("stats", np.reshape([style.values for style in styles], self._buffers["stats"].shape()))
            self._styles = styles
        self._set("strength", np.float32(strength))
        self._set("content_state", state)
        self._set("momentum", np.float32(momentum))
        try:
            self._session.run_with_iobinding(self._binding)
        except Exception as error:
            size = f"{frames.shape[2]}x{frames.shape[1]}"
            raise DeviceError(
                f"a frame of {size} could not be painted ({first_line(error)}): try a smaller one"
            ) from error
        # Copies: on the CPU these are views of buffers that the next frame overwrites.
        return self._buffers["stylized"].numpy().copy(), self._buffers["next_content_state"].numpy().copy()

    def _set(self, name: str, value: Any) -> None:
        self._buffers[name].update_inplace(np.asarray(value, order="C"))


def _resized(images: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Pictures, uint8 [N, H, W, 3] or [N, H, W], at another width and height."""
    import cv2

    method = cv2.INTER_AREA if size[0] < images.shape[2] else cv2.INTER_CUBIC
    return np.stack([cv2.resize(image, size, interpolation=method) for image in images])


def _enlarged(painted: np.ndarray, reduced: np.ndarray, whole: np.ndarray, strength: float) -> np.ndarray:
    """Paintings of reduced frames at the whole frames' size; the weaker the style, the more of their detail is back."""
    size = (whole.shape[2], whole.shape[1])
    enlarged = _resized(painted, size)
    if strength == 1:
        return enlarged
    detail = whole.astype(np.float32) - _resized(reduced, size)
    blended: np.ndarray = np.rint(enlarged + (1 - strength) * detail).clip(0, 255).astype(np.uint8)
    return blended


def _fade_faint(frame: np.ndarray, painted: np.ndarray) -> None:
    """Blend a painting, in place, with its frame (both uint8 [H, W, 3]) where that has little contrast."""
    import cv2

    contrast = float(cv2.meanStdDev(frame)[1].max()) / FAINT_DEVIATION
    if contrast < 1:
        # Slow at both ends: noise of a level or two is left nearly as it is, and no film jumps where the fade begins.
        share = contrast * contrast * (3 - 2 * contrast)
        cv2.addWeighted(painted, share, frame, 1 - share, 0, dst=painted)


def lay_over(frames: np.ndarray, painted: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """What is painted where a mask is 255, frames as they are where it is 0, and between them both by their shares.

    Args:
        frames: uint8 [H, W, 3] or [N, H, W, 3].
        painted: the same shape.
        mask: uint8 [H, W], for all frames, or [N, H, W].

    Returns:
        uint8, the shape of ``frames``: exact where the mask is 0 or 255, elsewhere to a grey level.
    """
    import cv2

    # OpenCV knows no batches, but one tall picture does as well.
    width = frames.shape[-2]
    share = cv2.merge([np.broadcast_to(mask, frames.shape[:-1]).reshape(-1, width)] * 3)
    inside, outside = (np.ascontiguousarray(image).reshape(-1, width, 3) for image in (painted, frames))
    inside = cv2.multiply(inside, share, scale=1 / 255)
    outside = cv2.multiply(outside, cv2.bitwise_not(share), scale=1 / 255)
    return cv2.add(inside, outside).reshape(frames.shape)


def check_shapes(session: Any, sizes: dict[str, list[int]], model: Model) -> None:
    """Raise a `ModelError` where the inputs or outputs of a network are not of the shapes that the manifest says."""
    for value in (*session.get_inputs(), *session.get_outputs()):
        if value.name in sizes and value.shape != sizes[value.name]:
            raise ModelError(f"the networks in {model.folder} do not fit their manifest: export the model again")


def check_strength(strength: float) -> None:
    """Raise an `InputError` for a strength that is not in 0..1."""
    if not 0 <= strength <= 1:
        raise InputError(f"strength is between 0 and 1, not {strength}")


def check_stroke_size(stroke_size: float) -> None:
    """Raise an `InputError` for a stroke size that is not in 1..16."""
    if not 1 <= stroke_size <= BROADEST_STROKES:
        raise InputError(f"the stroke size is between 1 and {BROADEST_STROKES}, not {stroke_size:g}")


def scale_style_image(image: np.ndarray) -> np.ndarray:
    """A style picture at the size that styles are encoded at: short side 512, the long side's middle 1024 at most."""
    import cv2

    height, width = image.shape[:2]
    short = min(height, width)
    factor = STYLE_SIDE / short
    longest = int(STYLE_LONG_SIDE / factor)
    top, left = max(0, height - longest) // 2, max(0, width - longest) // 2
    image = image[top : top + longest, left : left + longest]
    size = (max(STYLE_SIDE, round(image.shape[1] * factor)), max(STYLE_SIDE, round(image.shape[0] * factor)))
    if short != STYLE_SIDE:
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC)
    return np.ascontiguousarray(image)


def _check_image(image: np.ndarray, what: str, batch: bool = False) -> None:
    dimensions = (3, 4) if batch else (3,)
    if (
        not isinstance(image, np.ndarray)
        or image.dtype != np.uint8
        or image.ndim not in dimensions
        or image.shape[-1] != 3
    ):
        shape = f"{getattr(image, 'dtype', type(image).__name__)} {list(getattr(image, 'shape', []))}"
        raise InputError(f"{what} is a uint8 array [H, W, 3] in BGR, not {shape}")
    height, width = image.shape[-3:-1]
    if batch and (min(height, width) < MINIMUM_SIDE or image.shape[0] == 0):
        raise InputError(f"{what} has {MINIMUM_SIDE} pixels or more each way, not {width}x{height}: enlarge it first")
    if min(height, width) == 0:
        raise InputError(f"{what} has no pixels")


def _check_mask(mask: np.ndarray, frames: np.ndarray) -> None:
    height, width = frames.shape[-3:-1]
    shapes = {(height, width), frames.shape[:-1]}
    if not isinstance(mask, np.ndarray) or mask.dtype != np.uint8 or mask.shape not in shapes:
        shape = f"{getattr(mask, 'dtype', type(mask).__name__)} {list(getattr(mask, 'shape', []))}"
        raise InputError(f"the mask of a frame of {width}x{height} is a uint8 array [{height}, {width}], not {shape}")
