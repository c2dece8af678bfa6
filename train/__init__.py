"""Training of livestyle's networks in PyTorch: ``python -m train --help``."""
