"""Values of every wrong kind, and arrays of every dtype and layout."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
from hypothesis import strategies as st

NUMBERS = (0, 1, -1, 2**31, 2**63, -(10**30), 10**400, 0.0, -0.0, 0.5, 1.5, 1e-320, 1e308, float("inf"), float("nan"))
OTHERS: tuple[Any, ...] = (
    None,
    True,
    False,
    "",
    " ",
    "x",
    "0.5",
    "nan",
    b"1",
    1j,
    [],
    {},
    (),
    (1, 2),
    object,
    Decimal("1e99999"),
)
EXACT = (Fraction(1, 3), Fraction(10**400, 7), Fraction(1, 10**400), Decimal("nan"), np.float32("nan"), np.int64(3))
WRONG = (
    *("", " ", "-1", "0", "1", "0.5", "2", "1e999", "1e99999", "nan", "-inf", "9" * 400, "9" * 5000, "x" * 300),
    *("\x1b[31m", "a,b", ",", "a@b", "dusk@0,moss@1", "1:2:3", "640x360", "0x0", "99999x99999", "{}", "[", "in.png"),
    *("missing.png", "~", "~nobody", "--", "-", "true", "a\nb", "\u0663", "\u00bd", "\u202e", ":", "*", "?", "[a-"),
    *("%d", "%s", "%099999999d", "%(x)s", "a:1,b", "dusk:0", "con", ".", "..", "original", "none", "h264", "auto"),
)
"""Of options on the command line."""

anything: st.SearchStrategy[Any] = st.one_of(
    st.sampled_from(NUMBERS),
    st.sampled_from(OTHERS),
    st.sampled_from(EXACT),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.binary(max_size=20),
    st.fractions(),
)
words = st.one_of(
    st.sampled_from(WRONG), st.text(st.characters(exclude_characters="/\0\\", codec="utf-8"), max_size=20)
)


@st.composite
def arrays(draw: st.DrawFn, largest: int = 150) -> np.ndarray:
    """Arrays, mostly images [H, W, 3] of bytes, in any layout."""
    side = st.one_of(st.integers(0, largest), st.sampled_from([1, 2, 63, 64, 65]))
    shape = draw(
        st.one_of(
            st.tuples(side, side, st.just(3)), st.lists(st.integers(0, 5), max_size=5).map(tuple), st.tuples(side, side)
        )
    )
    kind = draw(st.one_of(st.just("u1"), st.sampled_from(["i1", "<u2", ">f4", "f8", "?", "c8", "O", "S3", "M8[s]"])))
    array = np.zeros(shape, kind)
    if kind == "u1":
        array = np.random.default_rng(draw(st.integers(0, 3))).integers(0, 256, shape, np.uint8)
    match draw(st.integers(0, 4)):
        case 1:
            array = np.asfortranarray(array)
        case 2:
            array = array[::-1] if array.ndim else array
        case 3:
            array = array[..., ::-1] if array.ndim else array
        case 4:
            array.flags.writeable = False
    return array
