#!/usr/bin/env bash
# Software: pillow-jxl-plugin 1.3.8, Pillow 13.0.0.
# Behaviour: who opens a JPEG, changes its pixels in place (draws on it, pastes into it, makes a thumbnail of it) and saves it
#   as JPEG XL gets the JPEG as it was before: the plug-in takes any image whose `format` still is "JPEG" for untouched, and
#   transcodes the file of that name instead of the pixels, `quality` or not. The warning that it gives speaks of lossless
#   reconstruction only. Of an image of the same pixels that was copied first, whose `format` is None, or with
#   lossless_jpeg=False, the pixels are saved.
# Output: colour and size of what was saved; the exit code is 1 where the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install pillow-jxl-plugin==1.3.8 pillow==13.0.0
cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import sys

import pillow_jxl  # noqa: F401
from PIL import Image

GREY, BLUE = (128, 128, 128), (0, 0, 255)
Image.new("RGB", (96, 64), GREY).save("photo.jpg", quality=90)
found = {}
for name, copies, options in (
    ("in place", False, {}),
    ("in place, quality=50", False, {"quality": 50}),
    ("copied first", True, {}),
    ("in place, lossless_jpeg=False", False, {"lossless_jpeg": False}),
):
    with Image.open("photo.jpg") as opened:
        image = opened.copy() if copies else opened
        image.paste(BLUE, (0, 0, 96, 64))
        image.thumbnail((48, 48))
        image.save("saved.jxl", **options)
        was = image.size
    with Image.open("saved.jxl") as saved:
        pixel = saved.convert("RGB").getpixel((20, 20))
        found[name] = "edited" if pixel[2] > pixel[0] + 100 and saved.size == was else "before" if saved.size == (96, 64) else "?"
        print(f"{name}: blue of {was[0]}x{was[1]} is saved as {pixel} of {saved.size[0]}x{saved.size[1]}")
sys.exit([*found.values()] != ["before", "before", "edited", "edited"])
PYTHON
