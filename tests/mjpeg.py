"""A network camera, as cheap ones are: JPEG pictures one after the other over HTTP."""

from __future__ import annotations

import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import cv2
import numpy as np

FRAME_SECONDS = 0.04


def jpeg(image: np.ndarray) -> bytes:
    return cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes()


class MjpegServer:
    """Sends a picture about 25 times a second to everybody who asks, while `sending` is set.

    Args:
        image: what to send, uint8 [H, W, 3] BGR.
        port: of 127.0.0.1; 0 takes one that is free.
    """

    def __init__(self, image: np.ndarray, port: int = 0) -> None:
        self.sending = threading.Event()
        self.sending.set()
        self.stopped = threading.Event()
        self.picture = jpeg(image)
        """The bytes that are sent; replace them at any time."""
        self.connections = 0
        """How often somebody asked."""
        self.sent = 0
        """Pictures so far."""
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.connections += 1
                self.send_response(200)
                self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
                self.end_headers()
                while not server.stopped.is_set():
                    if not server.sending.wait(0.1):
                        continue
                    picture = server.picture
                    try:
                        self.wfile.write(b"--frame\r\nContent-Type: image/jpeg\r\n")
                        self.wfile.write(b"Content-Length: %d\r\n\r\n%b\r\n" % (len(picture), picture))
                    except OSError:
                        return
                    server.sent += 1
                    time.sleep(FRAME_SECONDS)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.1})
        self._thread.start()
        self.port = self._server.server_port
        self.address = f"http://127.0.0.1:{self.port}/stream.mjpg"

    def show(self, image: np.ndarray) -> None:
        """Send another picture, of any size, from now on."""
        self.picture = jpeg(image)

    def stop(self) -> None:
        """Hang up, and refuse those who call."""
        self.stopped.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
