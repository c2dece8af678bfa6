"""Reading of image files: any format that Pillow, its plugins or OpenCV read, as upright sRGB over white."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from livestyle.errors import InputError
from livestyle.files import open_regular, read_up_to
from livestyle.media.quiet import quiet
from livestyle.memory import is_memory_error

from .decoding import Picture, decoded, is_keyed_16_bit, reduced
from .deep import EXR, bits_of, by_opencv
from .exr import read_exr
from .formats import FORMATS_TEXT
from .headers import stated_size
from .metadata import Metadata
from .opening import HEAD_BYTES, Purpose, is_eager, is_known, open_lazily

if TYPE_CHECKING:
    import numpy as np

    from livestyle.media.frames import BgrImage, GreyImage

MOST_PIXELS = 2**30
"""Greatest number of pixels of an image; OpenCV's limit too. Decompression bombs: it is checked before decoding."""
MOST_BYTES = 4 << 30
"""Size limit of its file."""
MOST_SPARE_PIXELS = 2**27
"""Greatest number of pixels of an image of which less would be enough: a style, a mask, a thumbnail."""
MOST_SPARE_BYTES = 1 << 30
"""Size limit of its file."""
_CONTENT_BYTES, _SPARE_BYTES = 10, 6
"""Memory for each pixel of an image, at its peak: of one that is painted, and of a style or a mask."""


def read_picture(path: Path, *, deep: bool = False) -> Picture:
    """Image file as a `Picture`.

    Args:
        path: of the file.
        deep: give the 16 bits of a PNG, a TIFF and others as such, unless its colour profile has tables.

    Raises:
        InputError: there is no such file, it is no image, or it is too large.
    """
    return decode_picture(read_file(path, MOST_BYTES), path, deep=deep)


def read_image(path: Path) -> BgrImage:
    """Image file as uint8 [H, W, 3] BGR: upright, sRGB, transparency laid over white, 16 bits reduced to 8.

    Raises:
        InputError: there is no such file, it is no image, or it is too large.
    """
    return read_picture(path).image


def read_reduced(path: Path) -> BgrImage:
    """As `read_image`, for what needs no more than some 16 megapixels: larger images come reduced, in less memory."""
    return decode_reduced(read_file(path, MOST_SPARE_BYTES), path)


def read_mask(path: Path) -> GreyImage:
    """Image file as a mask, uint8 [H, W]: its alpha channel where anything is transparent, else its luma.

    Raises:
        InputError: there is no such file, it is no image, or it is too large.
    """
    return decode_mask(read_file(path, MOST_SPARE_BYTES), path)


def read_file(path: Path, limit: int) -> bytes:
    """The bytes of an image file, which are read only if they begin as those of an image.

    Args:
        path: of the file.
        limit: size in bytes that is still taken.

    Raises:
        InputError: there is no such file, it is no image, or it is too large.
    """
    try:
        with open_regular(path, limit) as file:
            if not is_known(file.read(HEAD_BYTES), path):
                raise _unreadable(path)
            file.seek(0)
            return read_up_to(file, limit)
    except FileNotFoundError:
        raise InputError(f"there is no picture {path}") from None
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error


def decode_image(data: bytes, path: Path) -> BgrImage:
    """As `read_image`, from bytes; ``path`` is for the error's text."""
    return decode_picture(data, path).image


def decode_picture(data: bytes, path: Path, *, deep: bool = False) -> Picture:
    """As `read_picture`, from bytes; ``path`` is for the error's text.

    Raises:
        InputError: it is no image, or too large.
    """
    return _decode(data, path, Purpose(MOST_PIXELS, _CONTENT_BYTES, is_deep=deep))


def decode_reduced(data: bytes, path: Path) -> BgrImage:
    """As `read_reduced`, from bytes; ``path`` is for the error's text."""
    return _decode(data, path, Purpose(MOST_SPARE_PIXELS, _SPARE_BYTES, reduces=True)).image


def decode_mask(data: bytes, path: Path) -> GreyImage:
    """As `read_mask`, from bytes; ``path`` is for the error's text."""
    picture = _decode(data, path, Purpose(MOST_SPARE_PIXELS, _SPARE_BYTES, is_grey=True))
    return picture.image if picture.alpha is None else picture.alpha


def _unreadable(path: Path) -> InputError:
    return InputError(f"{path} is not a picture that can be read ({FORMATS_TEXT} are)")


def _decode(data: bytes, path: Path, purpose: Purpose) -> Picture:
    with quiet:
        return _decode_aloud(data, path, purpose)


def _decode_aloud(data: bytes, path: Path, purpose: Purpose) -> Picture:
    # By the header, before a decoder allocates anything: some do so as soon as they are opened.
    size = stated_size(data)
    eager = is_eager(data)
    if size is not None:
        purpose.check(size, path, eager)
    elif eager:
        raise _unreadable(path)
    opened = None if is_keyed_16_bit(data) else open_lazily(data, path)
    if opened is not None:
        size = opened.size
        purpose.check(opened.size, path)
        try:
            return decoded(opened, data, purpose)
        except Exception as error:
            # Damaged, cut off, or of a kind that Pillow does not know; OpenCV shows what there is of it.
            if is_memory_error(error):
                raise
    # Nothing that might be of any size.
    image: np.ndarray | None = None
    alpha: np.ndarray | None = None
    if size is not None:
        image, alpha = read_exr(data, purpose.is_deep) if data.startswith(EXR) else by_opencv(data, purpose.is_deep)
    if image is None:
        raise _unreadable(path)
    factor = purpose.factor((image.shape[1], image.shape[0]))
    image = reduced(image, factor, purpose.is_grey)
    return Picture(image, alpha, Metadata(), () if alpha is None else ("transparency",), (), bits_of(None, data))
