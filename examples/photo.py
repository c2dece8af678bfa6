"""Paint a photo: python examples/photo.py photo.jpg painted.png [style]

The style is a preset (livestyle styles list names them), a picture, or a mix such as starry-night:0.7,scream:0.3.
"""

import sys

import cv2

from livestyle import Look, StyleLibrary, Stylizer, stylize_image


def main(source: str, target: str, style: str = "scream") -> None:
    photo = cv2.imread(source)  # uint8 [H, W, 3], BGR
    if photo is None:
        raise SystemExit(f"{source} is not a picture that OpenCV can read")
    stylizer = Stylizer()  # the model "lite"; device="auto" takes CUDA where it starts
    look = Look(StyleLibrary(stylizer)[style], strength=0.9, sharpness=0.25)
    cv2.imwrite(target, stylize_image(photo, look, stylizer))


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        raise SystemExit(__doc__)
    main(*sys.argv[1:])
