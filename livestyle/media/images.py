"""Reading and writing pictures as BGR bytes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from livestyle.errors import InputError, OutputError
from livestyle.files import atomic_write

if TYPE_CHECKING:
    import numpy as np

JPEG = b"\xff\xd8"
"""How a JPEG begins, which has no transparency."""
SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")


def is_image(path: Path) -> bool:
    """Whether a file's name says that it is a picture."""
    return path.suffix.lower() in SUFFIXES


def images_in(folder: Path) -> list[Path]:
    """The pictures of a folder (not of those below it), by name; hidden files are left out.

    Raises:
        InputError: the folder cannot be read.
    """
    try:
        return sorted(p for p in folder.iterdir() if is_image(p) and p.is_file() and not p.name.startswith("."))
    except OSError as error:
        raise InputError(f"cannot read the folder {folder}: {error.strerror or error}") from error


def read_image(path: Path) -> np.ndarray:
    """A picture as uint8 [H, W, 3] BGR: turned as its EXIF says, transparency laid over white, 16 bits made 8.

    A picture with transparency is not turned: OpenCV does one or the other.

    Raises:
        InputError: there is no such file, or it is no picture.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"there is no picture {path}") from None
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
    return decode_image(data, path)


def decode_image(data: bytes, path: Path) -> np.ndarray:
    """`read_image` of bytes that were read already; ``path`` is for the error's text."""
    import cv2
    import numpy as np

    image = None
    if data:
        buffer = np.frombuffer(data, np.uint8)
        try:
            # IMREAD_COLOR turns by EXIF but drops transparency; IMREAD_UNCHANGED the other way round.
            full = None if data.startswith(JPEG) else cv2.imdecode(buffer, cv2.IMREAD_UNCHANGED)
            image = (
                _over_white(full) if full is not None and has_alpha(full) else cv2.imdecode(buffer, cv2.IMREAD_COLOR)
            )
        except cv2.error:
            image = None
    if image is None:
        raise InputError(f"{path} is not a picture that can be read ({', '.join(s[1:] for s in SUFFIXES)} are)")
    return image


def has_alpha(image: np.ndarray) -> bool:
    """Whether a decoded image has an alpha channel, of 8 or 16 bits."""
    return image.ndim == 3 and image.shape[2] == 4 and image.dtype in ("uint8", "uint16")


def _over_white(image: np.ndarray) -> np.ndarray:
    import numpy as np

    values = image.astype(np.float32) / np.iinfo(image.dtype).max
    alpha = values[:, :, 3:]
    return np.rint((values[:, :, :3] * alpha + 1 - alpha) * 255).astype(np.uint8)


def write_image(path: Path, image: np.ndarray) -> None:
    """Write uint8 [H, W, 3] BGR in the format of the name's suffix; the file appears when it is complete.

    Raises:
        OutputError: the suffix is no picture format, or the file cannot be written.
    """
    import cv2

    if not is_image(path):
        raise OutputError(f"cannot write {path}: end the name with one of {' '.join(SUFFIXES)}")
    parameters = [cv2.IMWRITE_JPEG_QUALITY, 95] if path.suffix.lower() in {".jpg", ".jpeg"} else []
    fine, data = cv2.imencode(path.suffix.lower(), image, parameters)
    if not fine:
        raise OutputError(
            f"cannot write {path}: a {path.suffix} of {image.shape[1]}x{image.shape[0]} cannot be made here, use .png"
        )
    try:
        with atomic_write(path) as file:
            file.write(data.tobytes())
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror or error}") from error
