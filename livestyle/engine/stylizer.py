"""The stylizer: style images into style statistics, frames into stylized frames, by the model's ONNX contract."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from threading import Lock, Thread
from typing import TYPE_CHECKING, Any

import numpy as np

from livestyle.errors import InputError, LivestyleError, ModelError, StyleError
from livestyle.limits import LIMITS, Limit, check, shown

from .constant import Rest
from .contract import check_contract, encoding, explained_by
from .devices import Device, choose_device, create_session
from .forms import remember_speedup, remembered_speedup
from .model import MINIMUM_SIDE, STYLE, STYLIZE_FP16, STYLIZE_INT8, Model
from .sequence import stylize_sequence
from .session import NetworkSession
from .stabilizer import Stabilizer
from .style import StyleStats, check_stats, scale_style_image

if TYPE_CHECKING:
    from livestyle.media.frames import BgrImage

_STRENGTH = Limit(0, 1)
WORTHWHILE_SPEEDUP = 1.05
"""Least ratio from which on the fast form is used."""
BATCHES = 2
"""Batches that are best given to `stylize_sequence` at once: the noise of one is reduced while another is painted."""


class Stylizer:
    """A model on a device. `livestyle.Renderer` does with it all that a person can choose about a painting.

    Args:
        model: a model folder, the name of one that ships (``lite``, ``full``), or None for the default.
        device: ``auto`` (CUDA where it starts, else the CPU), ``cpu``, ``cuda``, or ``cpu-float32``: otherwise the CPU
            computes in 8-bit integers where the model can, which is faster and looks nearly the same.
        threads: of the CPU; None takes all cores that this process may use.

    Raises:
        InputError: the number of threads is out of range.
        ModelError: the model folder is missing or damaged.
        DeviceError: the device does not start.

    Example:
        >>> stylizer = Stylizer()
        >>> style = stylizer.encode_style(cv2.imread("painting.jpg"))
        >>> painted = stylize_image(cv2.imread("photo.jpg"), Look(style), stylizer)
    """

    def __init__(self, model: str | Path | None = None, device: str = "auto", threads: int | None = None) -> None:
        if threads is not None:
            check("threads", threads, f"the number of threads is between 1 and {LIMITS['threads'].high}")
        self.model = Model.load(model)
        self._threads = threads
        self.device: Device = choose_device(
            device, self.model.file(STYLIZE_FP16), threads, STYLIZE_INT8 in self.model.manifest.files
        )
        """The device that really runs; ``device.text`` says it in one line."""
        self._network = NetworkSession(self.model, self.device, threads)
        self._speedup: float | None = None
        self._take_speedup(remembered_speedup(self._network.form_key) if self._network.form_key else 0.0)
        self._measuring = Lock()
        # Both are created on first use: most runs need neither.
        self._regions_network: NetworkSession | None = None
        self._exact_network: NetworkSession | None = None
        self._encoder: Any = None

    @property
    def stats_size(self) -> int:
        """S, the number of floats in a style of this model."""
        return self.model.manifest.stats_size

    @property
    def form(self) -> str:
        """Form of the network: ``constant`` at rest (see `livestyle.engine.constant`), ``graph`` or ``computed``.

        ``graph`` is a CUDA graph. ``computed`` also until it is known which of two is faster here, see `settle_form`.
        """
        return self._network.fast_form if (self._speedup or 0.0) >= WORTHWHILE_SPEEDUP else "computed"

    @property
    def speedup(self) -> float | None:
        """Measured speedup of the fast form; None before it is measured, 0 where there is none."""
        return self._speedup

    @property
    def batch(self) -> int:
        """Number of a video's frames that are best given to `stylize` at once; more than one on CUDA."""
        return self._network.batch if self._network.batch == 1 else BATCHES * self._network.batch

    def use_form(self, form: str) -> None:
        """Take a form of the network however fast it is here: to compare them, or as other machines have chosen.

        A model or a device that has no such form stays ``computed``, which `form` says.

        Args:
            form: see `form`.
        """
        self._take_speedup(float("inf") if form == self._network.fast_form != "" else 0.0)

    def settle_form(self, wait: bool = True) -> None:
        """Measure which form of the network is faster on this machine, unless that is known; a second or less, once.

        Args:
            wait: for the result, so that a sequence is painted from its beginning as it will be the next time;
                otherwise another thread measures.

        Raises:
            ModelError: the constant form does not fit the model; where nobody waits, the computed one stays.
            DeviceError: the device cannot paint, for instance for want of memory; the same.
        """
        if self._speedup is None and self._measuring.acquire(blocking=wait):
            if wait:
                self._measure_forms()
            else:
                Thread(target=self._measure_unseen, name="measuring forms", daemon=True).start()

    def _measure_forms(self) -> None:
        try:
            if self._speedup is None:
                speedup = self._network.measured_speedup()
                remember_speedup(self._network.form_key, speedup)
                self._take_speedup(speedup)
        finally:
            self._measuring.release()

    def _take_speedup(self, speedup: float | None) -> None:
        self._speedup = speedup
        self._network.replays = self.form == "graph"

    def _measure_unseen(self) -> None:
        try:
            self._measure_forms()
        except LivestyleError:
            # Else each frame would try again.
            self._speedup = 0.0

    def encode_style(self, image: BgrImage) -> StyleStats:
        """Style statistics of an image; worth keeping, for they are all that a style needs.

        Args:
            image: uint8 [H, W, 3] BGR, any size; its short side is scaled to 512 pixels first.

        Raises:
            InputError: ``image`` is not such an array.
            ModelError: the model's encoder does not keep to the contract.
            DeviceError: memory is short.
        """
        check_image(image, "a style picture")
        if self._encoder is None:
            # It runs once a style and is small: on the CPU everywhere, so that statistics do not depend on the device.
            self._encoder = create_session(self.model.file(STYLE), "cpu", self._threads)
            check_contract(self._encoder, encoding(self.model), STYLE, self.model)
        image = scale_style_image(image)
        with explained_by("a style picture"):
            stats: np.ndarray = self._encoder.run(["stats"], {"image": image})[0]
        if stats.shape != (self.stats_size,) or not np.isfinite(stats).all():
            raise ModelError(f"the network {STYLE} in {self.model.folder} gives no statistics: export the model again")
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
    ) -> np.ndarray:
        """Stylized frames, straight from the network.

        Args:
            frames: uint8 [H, W, 3] or [N, H, W, 3], BGR, 64 pixels or more each way.
            style: of this model.
            strength: 0..1, interpolates the AdaIN statistics between the content's own and the style's; 0 returns the
                frames.
            state: of the sequence that the frames belong to, see `Stabilizer`; it is read and updated. None normalises
                each frame with its own statistics.
            mask: uint8 [H, W], for all frames, or [N, H, W]: 255 is ``style``, 0 is ``background``, values between
                blend their statistics. It goes with ``background``.
            background: the style where the mask is 0, computed in the same pass of the network.

        Returns:
            uint8, the shape of ``frames``.

        Raises:
            InputError: ``frames`` or ``mask`` is no such array, ``strength`` is out of range, only one of ``mask`` and
                ``background`` is given, or the state is of another model.
            StyleError: a style belongs to another model.
            ModelError: the model has no network for two styles.
        """
        check_image(frames, "a frame", batch=True)
        check_strength(strength)
        self._check_style(style)
        if background is not None:
            self._check_style(background)
        if state is not None and not isinstance(state, Stabilizer):
            raise InputError(f"the state of a sequence is a Stabilizer, not {type(state).__name__}")
        known = None if state is None else state.values
        if known is not None and known.shape != (self.model.manifest.state_size,):
            raise InputError(
                "the state is of a sequence that another model has painted: take a new Stabilizer for this one"
            )
        if (mask is None) != (background is None):
            raise InputError("a background needs a mask that says where it is, and a mask a background")
        if mask is not None:
            check_mask(mask, frames)
        if strength == 0:
            if state is not None:
                # The network does not see these frames, so what it saw before will be out of date.
                state.reset()
            return frames.copy()
        batch = frames[None] if frames.ndim == 3 else frames
        styles = (style,) if background is None else (style, background)
        masks = None if mask is None else np.broadcast_to(mask, batch.shape[:3])
        network = self._network if mask is None else self._network_of_regions()
        if len(batch) > 1 and network.batch > 1:
            stylized = stylize_sequence(network, batch, styles, strength, state, masks)
        elif len(batch) == 1 or (state is None and not network.samples):
            stylized = self._run(network, batch, styles, strength, state, masks)
        else:
            # One at a time: the 8-bit network takes no batches, and a scene cut may lie within one.
            places = [slice(n, n + 1) for n in range(len(batch))]
            stylized = np.concatenate(
                [
                    self._run(network, batch[n], styles, strength, state, None if masks is None else masks[n])
                    for n in places
                ]
            )
        return stylized.reshape(frames.shape)

    def stylize_with_statistics(
        self,
        frame: BgrImage,
        style: StyleStats,
        strength: float,
        statistics: np.ndarray | None,
        momentum: float,
        *,
        mask: np.ndarray | None = None,
        background: StyleStats | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Part of an image by the contract itself, normalised with content statistics that are given.

        By the float32 network on the CPU, whose statistics come from every pixel.

        Args:
            frame: uint8 [H, W, 3] BGR, 64 pixels or more each way.
            style: of this model; errors are those of `stylize`.
            strength: 0..1.
            statistics: float32 [K]; None takes the frame's own.
            momentum: share of ``statistics`` in those that are used, 0..1; the rest are the frame's own.
            mask: uint8 [H, W], with ``background``.
            background: the style where the mask is 0.

        Returns:
            uint8 [H, W, 3], and the statistics that were used, float32 [K].
        """
        check_image(frame, "a frame")
        self._check_style(style)
        styles = (style,) if background is None else (style, background)
        if background is not None:
            network = self._network_of_regions()
        else:
            network = self._network_of_all_pixels() if self._network.samples else self._network
        if statistics is None:
            statistics, momentum = np.zeros(self.model.manifest.state_size, np.float32), 0.0
        masks = None if mask is None else mask[None]
        painted, used = network.run(frame[None], styles, strength, statistics, momentum, masks)
        return painted[0], used

    def _check_style(self, style: StyleStats) -> None:
        check_stats(style)
        if style.values.shape != (self.stats_size,):
            raise StyleError(
                f"the style has {style.values.size} statistics and the model {self.model.manifest.name} "
                f"takes {self.stats_size}: encode the style with this model"
            )

    def _run(
        self,
        network: NetworkSession,
        frames: np.ndarray,
        styles: tuple[StyleStats, ...],
        strength: float,
        state: Stabilizer | None,
        mask: np.ndarray | None,
    ) -> np.ndarray:
        if state is not None:
            state.detect_scene_cut(frames[0])
            frames = state.reduce_noise(frames[0])[None]
        if network.samples:
            judge = state or Stabilizer()
            judge.detect_sparsity(frames[0])
            if judge.is_sparse:
                network = self._network_of_all_pixels()
        values, momentum = np.zeros(self.model.manifest.state_size, np.float32), 0.0
        if state is None:
            return network.run(frames, styles, strength, values, momentum, mask)[0]
        if state.values is not None:
            values, momentum = state.values, state.next_momentum
        rest = self._rest(network, frames, styles, strength, state)
        if rest is not None and (painted := rest.paint(frames)) is not None:
            state.frames_since += 1
            return painted
        if rest is not None and rest.wants_constants:
            stylized, next_values, form = network.run_for_constants(frames, styles, strength, values, momentum)
            rest.renew(stylized, form)
        else:
            stylized, next_values = network.run(frames, styles, strength, values, momentum, mask)
            if rest is not None:
                rest.computed()
        if not state.is_flat:
            state.values, state.frames_since = next_values, 0
        return stylized

    def _rest(
        self,
        network: NetworkSession,
        frames: np.ndarray,
        styles: tuple[StyleStats, ...],
        strength: float,
        state: Stabilizer,
    ) -> Rest | None:
        """The sequence's `Rest`, a new one where it has just changed; None where there is no constant form for it."""
        # A CUDA graph is for frames of all sizes from the first on, and it is measured on the thread that paints.
        self.settle_form(wait=self._network.fast_form == "graph")
        if network is not self._network or self.form != "constant" or state.is_flat:
            state.rest = None
        elif state.rest is None or not state.rest.fits(styles, strength, frames.shape):
            state.rest = Rest(styles, strength, frames.shape)
        return state.rest

    def _network_of_all_pixels(self) -> NetworkSession:
        """The float32 network, which takes its statistics from every pixel."""
        if self._exact_network is None:
            self._exact_network = NetworkSession(self.model, replace(self.device, exact=True), self._threads)
        return self._exact_network

    def _network_of_regions(self) -> NetworkSession:
        if self._regions_network is None:
            self._regions_network = NetworkSession(self.model, self.device, self._threads, regions=True)
        return self._regions_network

    def check_regions(self) -> None:
        """Raise a `ModelError` where the model has no network for two styles."""
        self._network_of_regions()


def check_strength(strength: float) -> None:
    """Raise an `InputError` for a strength that is not in 0..1."""
    if not _STRENGTH.takes(strength):
        raise InputError(f"strength is between 0 and 1, not {shown(strength)}")


def check_image(image: np.ndarray, what: str, batch: bool = False, deep: bool = False) -> None:
    """Raise an `InputError` for what is no uint8 [H, W, 3].

    Args:
        image: to check.
        what: it is, for the error.
        batch: also [N, H, W, 3], of 64 pixels or more each way.
        deep: also uint16.
    """
    dimensions = (3, 4) if batch else (3,)
    if (
        not isinstance(image, np.ndarray)
        or not (image.dtype == np.uint8 or (deep and image.dtype == np.uint16))
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


def check_mask(mask: np.ndarray, frames: np.ndarray) -> None:
    """Raise an `InputError` for a mask that is no uint8 array of the frames' height and width."""
    height, width = frames.shape[-3:-1]
    shapes = {(height, width), frames.shape[:-1]}
    if not isinstance(mask, np.ndarray) or mask.dtype != np.uint8 or mask.shape not in shapes:
        shape = f"{getattr(mask, 'dtype', type(mask).__name__)} {list(getattr(mask, 'shape', []))}"
        raise InputError(f"the mask of a frame of {width}x{height} is a uint8 array [{height}, {width}], not {shape}")
