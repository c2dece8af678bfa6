"""The live program: a camera painted in a window, with keys, and to sinks such as a recording or a stream."""
