"""Image files: decoding to upright sRGB over white, encoding, and the metadata that goes from one to the other."""

from __future__ import annotations

from .decoding import Picture as Picture
from .formats import FORMATS_TEXT as FORMATS_TEXT
from .formats import SUFFIXES as SUFFIXES
from .formats import WRITABLE as WRITABLE
from .formats import check_dimensions as check_dimensions
from .formats import images_in as images_in
from .formats import is_image as is_image
from .formats import is_writable as is_writable
from .metadata import Metadata as Metadata
from .reading import MOST_SPARE_BYTES as MOST_SPARE_BYTES
from .reading import decode_image as decode_image
from .reading import decode_picture as decode_picture
from .reading import decode_reduced as decode_reduced
from .reading import read_file as read_file
from .reading import read_image as read_image
from .reading import read_mask as read_mask
from .reading import read_picture as read_picture
from .reading import read_reduced as read_reduced
from .writing import DEEP as DEEP
from .writing import WITH_ALPHA as WITH_ALPHA
from .writing import carried_metadata as carried_metadata
from .writing import encode_image as encode_image
from .writing import write_image as write_image
