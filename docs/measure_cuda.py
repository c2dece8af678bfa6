"""What batches, frames in flight and CUDA graphs give videos on a GPU.

python docs/measure_cuda.py 1920x1080 3840x2160 prints, for each size, frames/s of the network in batches of 1 to 8, of
two sessions at once (each with a stream of its own), and of a CUDA graph, with buffers that stay on the device and with
frames that are copied in and out; and how far the bytes of each are from those of single frames. With --device cpu it
checks itself where there is no GPU: there, all bytes are equal. For decode and encode beside it:
livestyle bench video --size 1920x1080 --device cuda.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import onnxruntime as ort

from livestyle import Model, StyleLibrary, Stylizer
from livestyle.engine.devices import preload_cuda, session_options, session_providers
from livestyle.engine.model import STYLIZE, STYLIZE_FP16
from livestyle.media.resize import parse_size


class Network:
    """A session of one shape with bound buffers.

    Args:
        path: of the network.
        device: ``cuda`` or ``cpu``.
        shape: N, H and W.
        feeds: inputs but the frames.
        graph: capture a CUDA graph in the first run, and replay it.
    """

    def __init__(
        self, path: Path, device: str, shape: tuple[int, int, int], feeds: dict[str, np.ndarray], graph: bool = False
    ) -> None:
        providers = session_providers(device)
        assert providers is not None
        if graph:
            name, options = providers[0]
            providers = [(name, options | {"enable_cuda_graph": "1"})]
        self._session = ort.InferenceSession(path, session_options(device, shape=shape), providers, enable_fallback=0)
        self._frames = ort.OrtValue.ortvalue_from_shape_and_type((*shape, 3), np.uint8, device, 0)
        self._painted = ort.OrtValue.ortvalue_from_shape_and_type((*shape, 3), np.uint8, device, 0)
        state = ort.OrtValue.ortvalue_from_shape_and_type(feeds["content_state"].shape, np.float32, device, 0)
        self._binding = self._session.io_binding()
        self._kept = {name: ort.OrtValue.ortvalue_from_numpy(value, device, 0) for name, value in feeds.items()}
        for name, value in (self._kept | {"frames": self._frames}).items():
            self._binding.bind_ortvalue_input(name, value)
        self._binding.bind_ortvalue_output("stylized", self._painted)
        self._binding.bind_ortvalue_output("next_content_state", state)

    def run(self) -> None:
        """Paint what is in the buffers; the result stays there."""
        self._session.run_with_iobinding(self._binding)

    def paint(self, frames: np.ndarray) -> np.ndarray:
        """Painting of frames, uint8 [N, H, W, 3], copied to the device and back."""
        self._frames.update_inplace(frames)
        self.run()
        painted: np.ndarray = self._painted.numpy().copy()
        return painted


def rate(run: Callable[[], object], frames: int, seconds: float) -> float:
    """Frames a second of repeated runs, after two that do not count."""
    run()
    run()
    start, count = perf_counter(), 0
    while perf_counter() - start < seconds:
        run()
        count += 1
    return count * frames / (perf_counter() - start)


def both(networks: Sequence[Network], frames: np.ndarray, runs: int) -> None:
    """Runs of several networks at once, each on a thread of its own."""
    with ThreadPoolExecutor(len(networks)) as pool:
        list(pool.map(lambda network: [network.paint(frames) for _ in range(runs)], networks))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sizes", nargs="+", type=parse_size)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--model", default="lite")
    parser.add_argument("--batches", type=int, nargs="+", default=(1, 2, 4, 8))
    parser.add_argument("--seconds", type=float, default=2.0)
    asked = parser.parse_args()
    if asked.device == "cuda":
        preload_cuda()
    model = Model.load(asked.model)
    path = model.file(STYLIZE_FP16 if asked.device == "cuda" else STYLIZE)
    feeds: dict[str, Any] = {
        "stats": StyleLibrary(Stylizer(asked.model, "cpu")).first().stats.values,
        "strength": np.array(1, np.float32),
        "content_state": np.zeros(model.manifest.state_size, np.float32),
        "momentum": np.array(0, np.float32),
    }
    print("| size | network | frames/s on the device | with copies | greatest difference from single frames |")
    print("|---|---|---|---|---|")
    for width, height in asked.sizes:
        measure(path, asked.device, (height, width), feeds, asked.batches, asked.seconds)


def measure(
    path: Path,
    device: str,
    size: tuple[int, int],
    feeds: dict[str, np.ndarray],
    batches: Sequence[int],
    seconds: float,
) -> None:
    """Rows of one size, height and width in pixels."""
    frames = np.random.default_rng(0).integers(0, 256, (max(batches), *size, 3), np.uint8)
    one = frames[:1]
    single = Network(path, device, (1, *size), feeds)
    expected = np.concatenate([single.paint(frame[None]) for frame in frames]).astype(int)

    def row(name: str, inside: float | None, copied: float, painted: np.ndarray) -> None:
        off = abs(painted - expected[: len(painted)]).max()
        rates = f"{'' if inside is None else f'{inside:.1f}'} | {copied:.1f}"
        print(f"| {size[1]}x{size[0]} | {name} | {rates} | {off} |", flush=True)

    for count in batches:
        network, some = Network(path, device, (count, *size), feeds), frames[:count]
        inside = rate(network.run, count, seconds)
        row(f"batches of {count}", inside, rate(partial(network.paint, some), count, seconds), network.paint(some))
    pair = [Network(path, device, (1, *size), feeds) for _ in range(2)]
    row("two sessions at once", None, rate(partial(both, pair, one, 10), 20, seconds), pair[1].paint(one))
    if device == "cuda":
        graph = Network(path, device, (1, *size), feeds, graph=True)
        row("CUDA graph", rate(graph.run, 1, seconds), rate(partial(graph.paint, one), 1, seconds), graph.paint(one))


if __name__ == "__main__":
    main()
