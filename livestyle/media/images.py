"""Image files: decoding to BGR and encoding."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from livestyle.errors import InputError, OutputError
from livestyle.files import atomic_write

if TYPE_CHECKING:
    import numpy as np

    from .frames import BgrImage

JPEG = b"\xff\xd8"
"""Magic number of JPEG, which has no alpha channel."""
SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
"""Of the names of files that are taken for images."""


def is_image(path: Path) -> bool:
    """Whether a file's name ends as that of an image."""
    return path.suffix.lower() in SUFFIXES


def images_in(folder: Path) -> list[Path]:
    """The images in a folder, not below it, sorted by name; hidden files are left out.

    Raises:
        InputError: the folder cannot be read.
    """
    try:
        return sorted(p for p in folder.iterdir() if is_image(p) and p.is_file() and not p.name.startswith("."))
    except OSError as error:
        raise InputError(f"cannot read the folder {folder}: {error.strerror or error}") from error


def read_image(path: Path) -> BgrImage:
    """Image file as uint8 [H, W, 3] BGR: EXIF orientation applied, transparency laid over white, 16 bits reduced to 8.

    An image with an alpha channel is not oriented: OpenCV does one or the other.

    Raises:
        InputError: there is no such file, or it is no image.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"there is no picture {path}") from None
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
    return decode_image(data, path)


def decode_image(data: bytes, path: Path) -> BgrImage:
    """As `read_image`, from bytes; ``path`` is for the error's text."""
    import cv2
    import numpy as np

    image: Any = None
    if data:
        buffer = np.frombuffer(data, np.uint8)
        try:
            # IMREAD_COLOR applies the EXIF orientation but drops alpha; IMREAD_UNCHANGED does the opposite.
            full = None if data.startswith(JPEG) else cv2.imdecode(buffer, cv2.IMREAD_UNCHANGED)
            image = (
                _over_white(full) if full is not None and has_alpha(full) else cv2.imdecode(buffer, cv2.IMREAD_COLOR)
            )
        except cv2.error:
            image = None
    if image is None:
        raise InputError(f"{path} is not a picture that can be read ({', '.join(s[1:] for s in SUFFIXES)} are)")
    decoded: BgrImage = image
    return decoded


def has_alpha(image: np.ndarray) -> bool:
    """Whether a decoded image has an alpha channel, of 8 or 16 bits."""
    return image.ndim == 3 and image.shape[2] == 4 and image.dtype in ("uint8", "uint16")


def _over_white(image: np.ndarray) -> BgrImage:
    import numpy as np

    values = image.astype(np.float32) / np.iinfo(image.dtype).max
    alpha = values[:, :, 3:]
    return np.rint((values[:, :, :3] * alpha + 1 - alpha) * 255).astype(np.uint8)


def write_image(path: Path, image: BgrImage) -> None:
    """Write an image, uint8 [H, W, 3] BGR, atomically, in the format of the name's suffix.

    Raises:
        OutputError: the suffix is none of `SUFFIXES`, or the file cannot be written.
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
