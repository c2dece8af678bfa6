"""Image formats: suffixes that are read and written, and the greatest sizes that a format holds."""

from __future__ import annotations

from pathlib import Path

from livestyle.errors import InputError, OutputError

WRITABLE = (".avif", ".bmp", ".jfif", ".jpe", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
"""Suffixes of the formats that images are written in."""
JPEG_SUFFIXES = (".jfif", ".jpe", ".jpeg", ".jpg")
SUFFIXES = (
    *WRITABLE,
    *(".apng", ".dib", ".exr", ".hdr", ".heic", ".heics", ".heif", ".heifs", ".hif", ".j2c", ".j2k", ".jp2", ".jpc"),
    *(".jpf", ".jpx", ".jxl", ".pbm", ".pgm", ".pnm", ".ppm", ".psd", ".qoi", ".tga"),
)
"""Suffixes by which files are taken for images; GIF is left out, which is mostly animated."""
STILL_GIF = ".gif"
"""Suffix of GIF, which `images_in` lists beside `SUFFIXES`."""
FORMATS_TEXT = "jpg, png, webp, tiff, avif, heic, jp2, jxl, gif, bmp and others"
"""Formats that are read, for error texts."""

_LARGEST_SIDE = {
    # libwebp: WEBP_MAX_DIMENSION.
    ".webp": 16383,
    # libavif's default limit of the decoders that others use (and 2 ** 28 pixels).
    ".avif": 32768,
    **dict.fromkeys(JPEG_SUFFIXES, 65500),
}
_MOST_PIXELS = {".avif": 2**28}
_MOST_BYTES = dict.fromkeys((".bmp", ".tif", ".tiff"), 2**32 - 2**16)
"""Files whose offsets have 32 bits, uncompressed."""


def is_image(path: Path) -> bool:
    """Whether a file's name ends as that of an image."""
    return path.suffix.lower() in SUFFIXES


def is_writable(path: Path) -> bool:
    """Whether a file's name ends as that of an image format that can be written."""
    return path.suffix.lower() in WRITABLE


def images_in(folder: Path) -> list[Path]:
    """The images in a folder, not below it, sorted by name; hidden files are left out.

    Raises:
        InputError: the folder cannot be read.
    """
    try:
        return sorted(
            p
            for p in folder.iterdir()
            if p.suffix.lower() in (*SUFFIXES, STILL_GIF) and p.is_file() and not p.name.startswith(".")
        )
    except OSError as error:
        raise InputError(f"cannot read the folder {folder}: {error.strerror or error}") from error


def check_dimensions(path: Path, width: int, height: int) -> None:
    """Raise an error for an image that the format of a file's suffix cannot hold.

    Args:
        path: of the file to write.
        width: of the image, in pixels.
        height: of the image, in pixels.

    Raises:
        OutputError: it is too large for the format.
    """
    suffix = path.suffix.lower()
    side = _LARGEST_SIDE.get(suffix)
    if (
        (side is not None and max(width, height) > side)
        or width * height > _MOST_PIXELS.get(suffix, width * height)
        or width * height * 3 > _MOST_BYTES.get(suffix, width * height * 3)
    ):
        limit = f" (at most {side} pixels each way)" if side is not None and max(width, height) > side else ""
        raise OutputError(
            f"cannot write {path}: a {suffix} of {width}x{height} cannot be made{limit}, use .png", setting="size"
        )
