"""Compares the two forms of the 8-bit network on videos: how far their paintings differ, and how often each one paints.

python docs/measure_forms.py CLIP... prints the rows of docs/performance.md, and ends with exit code 1 where the forms
differ by more than 2 grey levels on average on a clip.
"""

from __future__ import annotations

import argparse
from itertools import islice, pairwise
from pathlib import Path

import numpy as np

from livestyle import Stabilizer, StyleLibrary, StyleStats, Stylizer, open_source
from livestyle.media.resize import fit_size, resize

BOUND = 2.0
"""Mean absolute difference of a clip, in grey levels, that is allowed."""


def stylizer_of(model: str, is_constant: bool) -> Stylizer:
    """A stylizer that takes the constant form at rest, or never, however fast it is here."""
    stylizer = Stylizer(model, "cpu")
    stylizer.use_form("constant" if is_constant else "computed")
    return stylizer


def measure(forms: tuple[Stylizer, Stylizer], images: list[np.ndarray], style: StyleStats) -> dict[str, float]:
    """Figures of one clip in one style; the second stylizer always computes."""
    states = Stabilizer(), Stabilizer()
    painted: list[list[np.ndarray]] = []
    constant: list[bool] = []
    for image in images:
        before = states[0].frames_since
        painted.append([s.stylize(image, style, 1.0, t).astype(np.int16) for s, t in zip(forms, states, strict=True)])
        constant.append(states[0].frames_since > before)
    differences = np.array([abs(one - other).mean() for one, other in painted])
    # Where the form changes: how much more the painting changes than the computed one does between the same frames.
    steps = [
        abs(after[0] - before[0]).mean() - abs(after[1] - before[1]).mean()
        for (before, after), (was, now) in zip(pairwise(painted), pairwise(constant), strict=True)
        if was != now
    ]
    at_constant = differences[constant]
    return {
        "frames": len(images),
        "constant": float(np.mean(constant)),
        "mean": float(differences.mean()),
        "mean_constant": float(at_constant.mean()) if len(at_constant) else 0.0,
        "worst": float(differences.max()),
        "switches": len(steps),
        "step": float(np.mean(steps)) if steps else 0.0,
        "worst_step": float(np.max(steps)) if steps else 0.0,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clips", nargs="+", type=Path)
    parser.add_argument("--model", default="lite")
    parser.add_argument("--styles", default="scream,ink-sea", help="names of presets, with commas")
    parser.add_argument("--frames", type=int, default=250, help="of each clip, at most")
    parser.add_argument("--box", type=int, nargs=2, default=(640, 360), help="width and height to fit frames into")
    asked = parser.parse_args()
    forms = stylizer_of(asked.model, True), stylizer_of(asked.model, False)
    library = StyleLibrary(forms[0])
    failed = False
    print("| clip | style | frames | constant | mean difference | of constant ones | worst frame | switches | step |")
    print("|---|---|---|---|---|---|---|---|---|")
    for clip in asked.clips:
        with open_source(clip) as source:
            images = [frame.image for frame in islice(source, asked.frames)]
        height, width = images[0].shape[:2]
        images = [resize(image, *fit_size(width, height, tuple(asked.box))) for image in images]
        for name in asked.styles.split(","):
            found = measure(forms, images, library[name].stats_at(0))
            failed |= found["mean"] > BOUND
            print(
                f"| `{clip.stem}` | {name} | {found['frames']:.0f} | {found['constant']:.0%} | {found['mean']:.2f} | "
                f"{found['mean_constant']:.2f} | {found['worst']:.2f} | {found['switches']:.0f} | "
                f"{found['step']:+.2f}, {found['worst_step']:+.2f} at most |",
                flush=True,
            )
    return int(failed)


if __name__ == "__main__":
    raise SystemExit(main())
