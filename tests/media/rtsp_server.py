"""GStreamer's RTSP server, for Debian's Python, which has its bindings: sends raw frames of its standard input.

Arguments: port (0 is a free one), width, height and frames per second of grey frames. The address is printed.
"""

from __future__ import annotations

import sys
import threading
from typing import Any

import gi  # type: ignore[import-not-found]

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # type: ignore[import-not-found]  # noqa: E402

port, width, height, rate = sys.argv[1:]
Gst.init(None)
server = GstRtspServer.RTSPServer()
server.set_address("127.0.0.1")
server.set_service(port)
factory = GstRtspServer.RTSPMediaFactory()
factory.set_shared(True)
factory.set_launch(
    "( appsrc name=source is-live=true do-timestamp=true format=time "
    f"caps=video/x-raw,format=GRAY8,width={width},height={height},framerate={rate}/1 ! videoconvert ! "
    "video/x-raw,format=I420 ! x264enc tune=zerolatency speed-preset=ultrafast key-int-max=25 ! "
    "rtph264pay name=pay0 config-interval=1 pt=96 )"
)
sources: list[Any] = []


def configure(_: object, media: Any) -> None:
    """Feed those who watch from now on."""
    sources[:] = [media.get_element().get_by_name("source")]


def feed() -> None:
    """Pass frames on as they come, and drop them while nobody watches."""
    while data := sys.stdin.buffer.read(int(width) * int(height)):
        for source in sources:
            source.emit("push-buffer", Gst.Buffer.new_wrapped(data))


factory.connect("media-configure", configure)
server.get_mount_points().add_factory("/live", factory)
server.attach(None)
threading.Thread(target=feed, daemon=True).start()
print(f"rtsp://127.0.0.1:{server.get_bound_port()}/live", flush=True)
GLib.MainLoop().run()
