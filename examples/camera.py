"""Paint a camera live, into a window or for video calls: python examples/camera.py [SOURCE] [--virtual-camera]

SOURCE is a camera's number (0 without it), a stream's address, a video or a picture. q ends it.
"""

import sys

import cv2

from livestyle import Look, Renderer, StyleLibrary, Stylizer, open_source


def main(source: str = "0", *, virtual_camera: bool = False) -> None:
    stylizer = Stylizer()
    look = Look(StyleLibrary(stylizer)["scream"], mirror=True)
    renderer = Renderer(stylizer)  # holds the sequence still; one for each camera
    sink = None
    with open_source(source, size=(640, 360)) as frames:
        for frame in frames:
            painted = renderer.render(frame, look)
            if virtual_camera:
                from livestyle.media.sinks.virtual_camera import VirtualCamera

                sink = sink or VirtualCamera(painted.shape[1], painted.shape[0])
                sink.write(painted, frame.time)
            else:
                cv2.imshow("livestyle", painted)
                if cv2.waitKey(1) == ord("q"):
                    break
    if sink is not None:
        sink.close()


if __name__ == "__main__":
    arguments = sys.argv[1:]
    wanted = "--virtual-camera" in arguments
    main(*(a for a in arguments if a != "--virtual-camera"), virtual_camera=wanted)
