"""PyAV for modules outside `livestyle.media`, which imports OpenCV first, see there."""

import av as av
from av.codec.context import Flags as Flags
