"""Video files through PyAV: decoding, encoding, and the remux of sound, subtitles, chapters and metadata."""
