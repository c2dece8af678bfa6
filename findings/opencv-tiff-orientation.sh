#!/usr/bin/env bash
# Software: OpenCV 5.0.0 (opencv-python-headless 5.0.0.93), with its libtiff.
# Behaviour: cv2.imdecode with IMREAD_UNCHANGED, which by its documentation ignores the orientation of a file, turns a TIFF by its tag
#   Orientation all the same; IMREAD_IGNORE_ORIENTATION does not keep it from that either. A JPEG with the same orientation in its
#   EXIF comes as it is stored. Who turns what was read with IMREAD_UNCHANGED by EXIF turns TIFFs twice.
# Output: the sizes that come of pictures of 96x64 that say "90 degrees"; the exit code is 1 where that has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install "opencv-python-headless==5.0.0.93" pillow==13.0.0 numpy
"$folder/venv/bin/python" - <<'PYTHON'
import sys
from io import BytesIO

import cv2
import numpy as np
from PIL import Image

found = {}
for kind in ("TIFF", "JPEG"):
    exif = Image.Exif()
    exif[0x0112] = 6
    file = BytesIO()
    Image.new("RGB", (96, 64), (200, 100, 50)).save(file, kind, exif=exif)
    data = np.frombuffer(file.getvalue(), np.uint8)
    for name in ("IMREAD_UNCHANGED", "IMREAD_IGNORE_ORIENTATION"):
        flags = getattr(cv2, name) | (0 if name == "IMREAD_UNCHANGED" else cv2.IMREAD_COLOR)
        height, width = cv2.imdecode(data, flags).shape[:2]
        found[kind, name] = width, height
        print(f"{kind}, {name}: {width}x{height}")
turned, stored = (64, 96), (96, 64)
sys.exit([*found.values()] != [turned, turned, stored, stored])
PYTHON
