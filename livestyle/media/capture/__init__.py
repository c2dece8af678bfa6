"""Cameras, streams and files that stand in for a camera."""
