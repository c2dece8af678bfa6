"""The live program: a camera, a window and keys."""
