"""The fixtures of `tests.train.fixtures`; without PyTorch, none of this folder's tests is collected."""

from __future__ import annotations

from importlib.util import find_spec

if find_spec("torch") is None:
    collect_ignore_glob = ["test_*.py"]
else:
    from tests.train.fixtures import exported, images, loss_network, one_thread, options, trained, vgg19

    __all__ = ["exported", "images", "loss_network", "one_thread", "options", "trained", "vgg19"]
