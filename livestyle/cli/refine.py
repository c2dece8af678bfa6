"""Refining a preset by the training code, which a checkout of the repository has and the runtime does not import."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from livestyle.engine.style import StyleStats
from livestyle.errors import InputError, LivestyleError
from livestyle.styles.refined import write_refined

if TYPE_CHECKING:
    from livestyle.engine.model import Model


def check_refining(contents: Sequence[Path], vgg_weights: Path | None) -> None:
    """Refuse before anything is written what would fail later.

    Raises:
        LivestyleError: the training code or its extra is missing, or a path does not exist.
    """
    try:
        has_code = find_spec("train.refine") is not None
    except ImportError:
        has_code = False
    if not has_code:
        raise LivestyleError(
            "a style is refined by the training code, which the package does not hold: "
            'take a checkout of the repository, and there pip install -e ".[train]"'
        )
    if find_spec("torch") is None:
        raise LivestyleError('refining a style needs PyTorch: pip install -e ".[train]" in the checkout brings it')
    for path in (*contents, *([vgg_weights] if vgg_weights else [])):
        if not path.exists():
            raise InputError(f"there is no {path}")


def refine_preset(image: Path, model: Model, contents: Sequence[Path], vgg_weights: Path | None) -> None:
    """Refine the style of a preset's image for a model, with a progress bar on stderr, and say the gain.

    Raises:
        LivestyleError: it failed, which the training code has explained on stderr; the preset stays as it was.
    """
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "refined.json"
        # -P: a folder "train" in the current one is not that of livestyle.
        line = [sys.executable, "-P", "-m", "train", "refine", str(model.folder), str(image), "-o", str(result)]
        line += [text for path in contents for text in ("--contents", str(path))]
        line += ["--vgg-weights", str(vgg_weights)] if vgg_weights else []
        code = subprocess.run(line, check=False).returncode
        if code or not result.is_file():
            raise LivestyleError(f"{image.stem} was added, but not refined: the reason is above")
        found = json.loads(result.read_text("utf-8"))
    before, after = found["style"]
    kept = f"content loss {found['content'][0]:.2f} to {found['content'][1]:.2f}, on pictures not refined on"
    if after >= before:
        print(f"{image.stem} is as good as it gets: nothing was gained ({kept})")
        return
    write_refined(image, model, StyleStats(np.asarray(found["values"], np.float32)))
    print(f"refined {image.stem}: style loss {before:.2f} to {after:.2f} ({after / before - 1:+.0%}), {kept}")
