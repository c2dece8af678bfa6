"""Painting of a frame: the look that a person chooses, and the renderer that applies it."""
