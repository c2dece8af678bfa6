"""Live sources: cameras, streams, and files in place of a camera."""
