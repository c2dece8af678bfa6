"""Paint a film in two styles that follow one another: python examples/film.py film.mp4 painted.mp4

Sound, subtitles and every frame's time are kept. Run again after an interruption, it goes on where it stopped.
"""

import sys

from livestyle import Cue, Look, StyleLibrary, Stylizer, Timeline, VideoOptions, stylize_video


def main(source: str, target: str) -> None:
    stylizer = Stylizer()
    styles = StyleLibrary(stylizer)
    timeline = Timeline(
        "lilies, then scream",
        (
            Cue(0, styles["water-lilies"]),
            Cue(2, styles["scream"], crossfade=1),  # from 2 s on, fading over for a second
        ),
    )
    result = stylize_video(
        source, target, Look(timeline), stylizer, VideoOptions(resume=True), force=False, progress=True
    )
    print(result or f"{target} was complete")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    main(*sys.argv[1:])
