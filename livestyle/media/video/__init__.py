"""Video files, read and written through PyAV; all that goes with their pictures is remuxed."""
