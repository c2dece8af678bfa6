"""Images for training: folders or tar files in, square crops and their loss-network features out."""

from __future__ import annotations

import io
import logging
import os
import tarfile
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from threading import Lock

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from livestyle.errors import LivestyleError

from .programs import with_progress
from .vgg import LossNetwork, statistics_vector

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"}
HELD_OUT_SHARE = 32
"""One image in so many is held out for validation."""

LEAST_SIDE = 64
"""Images with a shorter short side are skipped, in pixels."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ImageFile:
    """An image file in a folder, or (with an offset) inside an uncompressed tar file; ``size`` is in bytes."""

    path: Path
    name: str
    offset: int = 0
    size: int = 0

    def read_bytes(self) -> bytes:
        """The encoded file."""
        with self.path.open("rb") as file:
            file.seek(self.offset)
            return file.read(self.size)

    def read(self) -> Image.Image:
        """The decoded image as RGB; raises OSError if it is damaged."""
        try:
            data = self.read_bytes()
            return Image.open(io.BytesIO(data)).convert("RGB")
        except Exception as error:
            # Pillow's decoders raise a dozen kinds of exceptions on damaged files, and none of them may end a run.
            raise OSError(str(error) or type(error).__name__) from error


def find_images(paths: Sequence[Path]) -> list[ImageFile]:
    """All images of folders (recursively) and uncompressed tar files, in a stable order.

    Raises:
        LivestyleError: a path is neither, or none of them holds an image.
    """
    found: list[ImageFile] = []
    for path in paths:
        if path.is_dir():
            files = sorted(p for p in path.rglob("*") if p.suffix.lower() in SUFFIXES)
            # A broken symbolic link is listed without a size, and counts as damaged when it is read.
            found += [
                ImageFile(p, p.relative_to(path).as_posix(), size=p.stat().st_size if p.exists() else 0) for p in files
            ]
        elif path.is_file():
            found += _in_tar(path)
        else:
            raise LivestyleError(f"there is no folder or tar file {path}")
    if not found:
        raise LivestyleError(f"no pictures in {', '.join(map(str, paths))}: {' '.join(sorted(SUFFIXES))} are read")
    return found


def _in_tar(path: Path) -> list[ImageFile]:
    try:
        with tarfile.open(path, "r:") as archive:
            members = [m for m in archive if m.isfile() and Path(m.name).suffix.lower() in SUFFIXES]
    except tarfile.TarError as error:
        raise LivestyleError(f"{path} is not an uncompressed tar file: {error}") from error
    return [ImageFile(path, m.name, m.offset_data, m.size) for m in members]


def split_held_out(images: Sequence[ImageFile]) -> tuple[list[ImageFile], list[ImageFile]]:
    """Training and held-out images; a hash of the name decides, so that the split is stable when images are added."""
    held = [zlib.crc32(image.name.encode()) % HELD_OUT_SHARE == 0 for image in images]
    if len(images) > 1 and (all(held) or not any(held)):
        held = [index == 0 for index in range(len(images))]
    training = [image for image, out in zip(images, held, strict=True) if not out]
    return training, [image for image, out in zip(images, held, strict=True) if out] or training


def choose(images: Sequence[ImageFile], count: int, seed: int) -> list[ImageFile]:
    """At most ``count`` random images, in their order; a smaller choice is a subset of a larger one."""
    order = np.random.default_rng((seed, 2)).permutation(len(images))
    return [images[place] for place in sorted(order[:count])]


def random_crop(image: Image.Image, size: int, rng: np.random.Generator, zoom: tuple[float, float]) -> Tensor:
    """A random square crop at a random scale, mirrored half of the time: uint8 [3, size, size] RGB.

    Args:
        image: RGB, both sides 8 or more.
        size: side of the crop in pixels.
        rng: random generator of place, scale and mirroring.
        zoom: least and greatest scale factor; an image too small for the scale drawn is enlarged until the crop fits
            its short side.
    """
    short = min(image.size)
    scale = float(np.exp(rng.uniform(np.log(zoom[0]), np.log(zoom[1]))))
    side = min(short, size / scale)
    left = rng.uniform(0, image.width - side)
    top = rng.uniform(0, image.height - side)
    crop = image.resize(
        (size, size), Image.Resampling.BICUBIC, box=(left, top, left + side, top + side), reducing_gap=2
    )
    if rng.random() < 0.5:
        crop = crop.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return torch.from_numpy(np.array(crop)).permute(2, 0, 1).contiguous()


def make_vivid(crop: Tensor, rng: np.random.Generator) -> Tensor:
    """A crop with contrast and saturation raised by a random factor of up to 3 each, uint8 [3, H, W] RGB.

    Augmentation of style images: users also choose posters, comics, patterns and woodcuts, which are rare in
    collections of paintings.
    """
    values = crop.float()
    luma = (values * torch.tensor([0.299, 0.587, 0.114])[:, None, None]).sum(0)
    middle = luma.mean()
    contrast, saturation = np.exp(rng.uniform(0, np.log(3), 2))
    changed = middle + contrast * (luma - middle + saturation * (values - luma))
    return changed.round().clamp(0, 255).byte()


@dataclass
class CropSource:
    """Numbered random crops of images: crop ``n`` is the same in every run with the same seed.

    Damaged and tiny images are counted, reported once, and replaced by the next good one.

    Attributes:
        images: what is cropped.
        size: side of a crop in pixels.
        zoom: see `random_crop`.
        seed: of all random choices.
        recolor: permute the colour channels of half of the crops, as augmentation.
        vivid: share of the crops that `make_vivid` changes, 0..1.
    """

    images: Sequence[ImageFile]
    size: int
    zoom: tuple[float, float]
    seed: int
    recolor: bool = False
    vivid: float = 0.0
    _bad: set[int] = field(default_factory=set, init=False)
    _lock: Lock = field(default_factory=Lock, init=False, repr=False)

    def crop(self, number: int) -> Tensor:
        """Crop ``number``, uint8 [3, size, size].

        Raises:
            LivestyleError: none of the images could be read.
        """
        rng = np.random.default_rng((self.seed, number))
        epoch, index = divmod(number, len(self.images))
        order = _order(self.seed, epoch, len(self.images))
        for attempt in range(len(self.images)):
            place = int(order[(index + attempt) % len(self.images)])
            if place in self._bad:
                continue
            try:
                image = self.images[place].read()
                if min(image.size) < LEAST_SIDE:
                    raise OSError(f"only {image.width}x{image.height} pixels")
            except OSError as error:
                self._skip(place, error)
                continue
            crop = random_crop(image, self.size, rng, self.zoom)
            if self.recolor and rng.random() < 0.5:
                crop = crop[torch.from_numpy(rng.permutation(3))]
            if self.vivid and rng.random() < self.vivid:
                crop = make_vivid(crop, rng)
            return crop
        raise LivestyleError("none of the pictures could be read")

    @property
    def skipped(self) -> set[int]:
        """Indices of the damaged and tiny images met so far."""
        return set(self._bad)

    def _skip(self, place: int, error: OSError) -> None:
        with self._lock:
            first = not self._bad
            self._bad.add(place)
        if first:
            name = self.images[place].name
            text = "skipping pictures that are damaged or under %d pixels; the first: %s (%s)"
            log.warning(text, LEAST_SIDE, name, error)

    def crops(self, numbers: Iterable[int], threads: int = 1) -> Iterator[Tensor]:
        """The numbered crops in order, decoded ahead on ``threads`` threads."""
        waiting: deque[Future[Tensor]] = deque()
        with ThreadPoolExecutor(threads) as pool:
            for number in numbers:
                waiting.append(pool.submit(self.crop, number))
                if len(waiting) > 8 * threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()


@lru_cache(maxsize=4)
def _order(seed: int, epoch: int, count: int) -> np.ndarray:
    return np.random.default_rng((seed, epoch, 1)).permutation(count)


@dataclass
class FeatureBank:
    """Crops with their loss-network features, computed once.

    Attributes:
        crops: uint8 [n, 3, size, size] RGB.
        statistics: float32 [n, 1920], see `statistics_vector`.
        content: float16 [n, 512, size / 8, size / 8], relu4_1; None for styles.
    """

    crops: Tensor
    statistics: Tensor
    content: Tensor | None

    @classmethod
    def build(
        cls,
        source: CropSource,
        numbers: Sequence[int],
        network: LossNetwork,
        device: torch.device,
        *,
        content: bool,
        autocast: Callable[[], AbstractContextManager[object]] = nullcontext,
    ) -> FeatureBank:
        """Compute the bank of the numbered crops of ``source``, under ``autocast``."""
        crops: list[Tensor] = []
        statistics: list[Tensor] = []
        features: list[Tensor] = []
        label = "content features" if content else "style features"
        pending: list[Tensor] = []
        for done, crop in enumerate(with_progress(source.crops(numbers), label, len(numbers)), 1):
            pending.append(crop)
            if len(pending) == 8 or done == len(numbers):
                batch = torch.stack(pending)
                pending = []
                with torch.inference_mode(), autocast():
                    taps = network(to_float(batch, device))
                    statistics.append(statistics_vector(taps).cpu())
                    if content:
                        features.append(taps["relu4_1"].half().cpu().contiguous())
                crops.append(batch)
        return cls(torch.cat(crops), torch.cat(statistics), torch.cat(features) if content else None)

    def save(self, path: Path) -> None:
        """Write the bank atomically: to a temporary name, which is then moved into place."""
        # The process id keeps apart several runs that share the folder.
        partial = path.with_suffix(f".{os.getpid()}.partial")
        torch.save({"crops": self.crops, "statistics": self.statistics, "content": self.content}, partial)
        os.replace(partial, path)

    @classmethod
    def load(cls, path: Path) -> FeatureBank:
        """A saved bank, memory-mapped, so that all processes of a machine share its pages."""
        return cls(**torch.load(path, weights_only=True, mmap=True))

    def to_gpu_if_it_fits(self, device: torch.device) -> FeatureBank:
        """The bank in GPU memory if it takes at most half of what is free there; otherwise unchanged."""
        size = sum(t.nbytes for t in (self.crops, self.statistics, self.content) if t is not None)
        if device.type != "cuda" or size > torch.cuda.mem_get_info(device)[0] / 2:
            return self
        content = None if self.content is None else self.content.to(device)
        return FeatureBank(self.crops.to(device), self.statistics.to(device), content)


def to_float(images: Tensor, device: torch.device) -> Tensor:
    """Images uint8 [N, 3, H, W] as float32 in 0..1, channels last, on ``device``."""
    return images.to(device).contiguous(memory_format=torch.channels_last).float().div_(255)
