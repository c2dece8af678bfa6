"""PyAV for modules outside this package, which has imported OpenCV first, see there."""

import av as av
from av.codec.context import Flags as Flags
