"""How a frame is painted: the look that a person chooses, and the renderer that applies it."""
