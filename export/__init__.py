"""From a checkpoint to a model folder: ``python -m export --help``."""
