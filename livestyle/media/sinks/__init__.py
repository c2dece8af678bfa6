"""Sinks of the live program: a recording, an MJPEG server, a virtual camera."""
