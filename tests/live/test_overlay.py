from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from livestyle.live.overlay import LINE_SHARE, READABLE_SIDE, SHADE, YELLOW, Overlay, Rows, Thumbnail, draw

GREY = 200
SIZES = [(640, 360), (192, 108), (1280, 720), (360, 640), (3840, 2160), (2000, 300)]
ROWS: Rows = tuple(
    (key, f"what the key {key} does, in some words") for key in ("1-9", "+ or =", *"abcdefghijklmnopqrst")
)
FIGURES: Rows = (("camera", "29.9 frames/s, 1280x720"), ("painting", "34 ms"), ("latency", "61 ms"))
WARNING = "camera 0 stopped giving pictures: trying again, check its cable or the stream"


def plain(size: tuple[int, int]) -> np.ndarray:
    return np.full((size[1], size[0], 3), GREY, np.uint8)


def tiles(count: int) -> tuple[Thumbnail, ...]:
    """Thumbnails of one colour each: (place, 255, 0)."""
    return tuple(Thumbnail(f"style {place}", np.full((96, 96, 3), (place, 255, 0), np.uint8)) for place in range(count))


def everything() -> Overlay:
    return Overlay(
        caption="3 la-grande-jatte, strength 80%",
        strip=tiles(25),
        current=12,
        notice="saved /home/somebody/pictures/livestyle-20261124-201500.png " * 5,
        warning=WARNING,
        recording="REC 0:12",
        help=ROWS,
        figures=FIGURES,
    )


def changed(overlay: Overlay, size: tuple[int, int] = (640, 360)) -> tuple[slice, slice]:
    """The rows and columns that an overlay changes of a picture that is not enlarged."""
    image = draw(plain(size), overlay)
    ys, xs = np.nonzero((image != GREY).any(axis=2))
    return slice(int(ys.min()), int(ys.max()) + 1), slice(int(xs.min()), int(xs.max()) + 1)


def tiles_shown(image: np.ndarray) -> set[int]:
    """The places in the strip of the thumbnails that can be seen."""
    return set(map(int, np.unique(image[(image[..., 1] == 255) & (image[..., 2] == 0)][:, 0])))


@pytest.mark.parametrize("size", SIZES)
def test_everything_stays_inside_the_picture_which_is_left_as_it_is(size: tuple[int, int]) -> None:
    image = plain(size)
    drawn = draw(image, everything())
    assert (image == GREY).all()
    factor = max(1.0, READABLE_SIDE / min(size))
    assert drawn.shape == (round(size[1] * factor), round(size[0] * factor), 3)
    edge = round(min(drawn.shape[:2]) * LINE_SHARE / 2)
    inside = np.zeros(drawn.shape[:2], bool)
    inside[edge:-edge, edge:-edge] = True
    assert (drawn[~inside] == GREY).all()
    assert (drawn[inside] != GREY).any()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    "overlay",
    [
        Overlay(caption="a name of many words that does not fit in any picture of this world " * 9),
        Overlay(recording="REC 10:12:13"),
        Overlay(help=ROWS),
        Overlay(help=ROWS, figures=FIGURES),
    ],
)
def test_no_text_touches_the_end_of_its_box(overlay: Overlay, size: tuple[int, int]) -> None:
    box = draw(plain(size), overlay)
    rows, columns = changed(overlay, (box.shape[1], box.shape[0]))
    box = box[rows, columns]
    shade = round(GREY * SHADE)
    for border in (box[:2], box[-2:], box[:, :2], box[:, -2:]):
        assert (border == shade).all()
    assert (box != shade).any()


def test_each_part_has_its_place() -> None:
    middle = 640 // 2
    rows, columns = changed(Overlay(caption="1 scream"))
    assert rows.start > 300
    assert columns.stop < middle
    strip = changed(replace(Overlay(strip=tiles(3)), caption="1 scream"))
    assert 250 < strip[0].start < rows.start - 40
    notice = changed(Overlay(strip=tiles(3), caption="1 scream", notice="saved"))
    assert notice[0].start < strip[0].start
    rows, columns = changed(Overlay(recording="REC 0:12"))
    assert rows.stop < 50
    assert columns.start > middle
    rows, columns = changed(Overlay(warning=WARNING))
    assert rows.stop < 60
    assert abs((columns.start + columns.stop) / 2 - middle) < 2
    rows, columns = changed(Overlay(help=ROWS))
    assert rows.start < 20
    assert columns.start < 20


def test_nothing_covers_anything_else() -> None:
    alone = Overlay(recording="REC 0:12", warning=WARNING)
    rows, _ = changed(alone)
    top = draw(plain((640, 360)), alone)[rows]
    assert (draw(plain((640, 360)), everything())[rows] == top).all()
    below = replace(everything(), help=(), figures=(), recording="", warning="")
    rows, _ = changed(below)
    bottom = draw(plain((640, 360)), below)[rows]
    assert (draw(plain((640, 360)), everything())[rows] == bottom).all()


def test_with_nothing_to_draw_a_large_picture_is_not_even_copied() -> None:
    image = plain((640, 360))
    assert draw(image, Overlay(current=3)) is image


def test_help_of_many_keys_is_legible_beside_the_strip_at_360_lines() -> None:
    rows = tuple(("Qg", text) for _, text in ROWS)
    overlay = Overlay("1 scream", tiles(20), help=rows, figures=FIGURES)
    # On black, so that the first column of keys is all there is at its left.
    keys = draw(np.zeros((360, 640, 3), np.uint8), overlay)[:250, :40]
    is_key = (keys > 80).any(axis=(1, 2))
    edges = np.flatnonzero(np.diff(is_key.astype(int), prepend=0, append=0))
    heights = edges[1::2] - edges[::2]
    assert len(heights) == 13
    assert heights.min() >= 11


def test_the_current_style_is_framed() -> None:
    for current in range(5):
        image = draw(plain((640, 360)), Overlay(strip=tiles(5), current=current))
        assert tiles_shown(image) == set(range(5))
        ys, xs = np.nonzero((image == YELLOW).all(axis=2))
        inside = image[ys.min() : ys.max(), xs.min() : xs.max()]
        assert tiles_shown(inside) == {current}


@pytest.mark.parametrize("size", [(640, 360), (360, 640), (3840, 2160)])
def test_the_strip_scrolls_to_the_current_style_and_hints_at_more(size: tuple[int, int]) -> None:
    seen = set()
    strip = tiles(40)
    rows, _ = changed(Overlay(strip=strip), size)
    end = round(min(size) * LINE_SHARE)
    for current in range(40):
        band = draw(plain(size), Overlay(strip=strip, current=current))[rows]
        shown = tiles_shown(band)
        assert current in shown
        assert shown == set(range(min(shown), max(shown) + 1))
        columns = np.flatnonzero((band != GREY).any(axis=(0, 2)))
        left, right = columns[0], columns[-1] + 1
        for hint, more in (
            (band[:, left : left + end], min(shown) > 0),
            (band[:, right - end : right], max(shown) < 39),
        ):
            assert (hint == 255).all(axis=2).any() == more
        seen |= shown
    assert seen == set(range(40))


def test_the_first_nine_styles_are_numbered() -> None:
    tile = Thumbnail("one", np.zeros((96, 96, 3), np.uint8))
    image = draw(plain((1280, 720)), Overlay(strip=(tile,) * 11, current=-1))
    rows, columns = changed(Overlay(strip=(tile,) * 11, current=-1), (1280, 720))
    parts = np.array_split((image[rows, columns] > 220).all(axis=2), 11, axis=1)
    assert [bool(part.any()) for part in parts] == [True] * 9 + [False] * 2


def test_the_first_letters_stand_in_for_a_missing_thumbnail() -> None:
    one, other = (draw(plain((640, 360)), Overlay(strip=(Thumbnail(name),))) for name in ("scream", "wave"))
    assert (one != other).any()


@pytest.mark.parametrize(
    "name", ["caf\u00e9", "\u6f22\u5b57", "\U0001f642", "two\nlines\tand a tab", "\x00", "bytes \udce9", ""]
)
def test_any_name_can_be_drawn(name: str) -> None:
    overlay = Overlay(name, (Thumbnail(name),), 0, name, f"{name} is gone", name, ((name, name),), ((name, name),))
    assert draw(plain((640, 360)), overlay).shape == (360, 640, 3)


def test_an_accent_on_its_own_joins_its_letter() -> None:
    one, two = (draw(plain((640, 360)), Overlay(caption=name)) for name in ("caf\u00e9", "cafe\u0301"))
    assert (one == two).all()


def test_overlays_are_equal_while_their_thumbnails_are_the_same_pictures() -> None:
    image = np.zeros((96, 96, 3), np.uint8)
    one, same = (Overlay(strip=(Thumbnail("a", image), Thumbnail("b"))) for _ in range(2))
    assert one == same
    assert one != Overlay(strip=(Thumbnail("a", image.copy()), Thumbnail("b")))
    assert one != Overlay(strip=(Thumbnail("a", image), Thumbnail("c")))
    assert one != replace(one, current=1)
