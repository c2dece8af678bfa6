"""Keyboard layouts: which key was pressed, as on an English keyboard, by the codes that OpenCV's windows give.

Codes are X11's keysyms under Qt and GTK, UTF-16 on macOS, and characters of the system's code page on Windows.
"""

# ruff: noqa: RUF001 (these letters are what they look like)
from __future__ import annotations

import sys
import unicodedata

_ENGLISH = "qwertyuiop[]asdfghjkl;'zxcvbnm,."
_LAYOUTS = (
    "йцукенгшщзхъфывапролджэячсмитьбю",  # Russian
    ";ςερτυθιοπ[]ασδφγηξκλ;'ζχψωβνμ,.",  # Greek
    "ضصثقفغعهخحجدشسيبلاتنمكطئءؤرﻻىةوز",  # Arabic
    "/'קראטוןםפ[]שדגכעיחלךף,זסבהנמצתץ",  # Hebrew
    "ๆไำพะัีรนยบลฟหกดเ้่าสวงผปแอิืทมใ",  # Thai
    "ㅂㅈㄷㄱㅅㅛㅕㅑㅐㅔ[]ㅁㄴㅇㄹㅎㅗㅓㅏㅣ;'ㅋㅌㅊㅍㅠㅜㅡ,.",  # Korean
    "ქწერტყუიოპ[]ასდფგჰჯკლ;'ზხცვბნმ,.",  # Georgian
)
# Ukrainian, Serbian and Persian where they differ, and digits without Shift of AZERTY, Czech and Thai keyboards; the 6
# of AZERTY is a minus, and stays one.
_OTHERS = {
    "і": "s", "ї": "]", "є": "'", "ј": "j", "љ": "q", "њ": "w", "ђ": "]", "ћ": "'", "џ": "x",
    "ی": "d", "چ": "]", "ک": ";", "گ": "'", "پ": "m", "ذ": "b", "ظ": "z", "لا": "b",
    "&": "1", "é": "2", '"': "3", "'": "4", "(": "5", "§": "6", "è": "7", "_": "8", "ç": "9", "à": "0",
    "ě": "2", "š": "3", "č": "4", "ř": "5", "ž": "6", "ý": "7", "á": "8", "í": "9", "ľ": "2", "ť": "5",
    "ๅ": "1", "ภ": "4", "ถ": "5", "ุ": "6", "ึ": "7", "ค": "8", "ต": "9", "จ": "0",
}  # fmt: skip
_KEYS = {
    own: english
    for layout in _LAYOUTS
    for own, english in zip(layout, _ENGLISH, strict=True)
    if not own.isascii() and own != english
} | _OTHERS
# Legacy keysyms have the alphabet in the upper byte, and a letter as in an old character set in the lower one.
_ALPHABETS = {
    1: "iso8859_2", 2: "iso8859_3", 3: "iso8859_4", 5: "iso8859_6", 6: "koi8_u", 7: "iso8859_7", 12: "iso8859_8",
    13: "iso8859_11",
}  # fmt: skip
_UNICODE_KEYSYM = 0x01000000

_F = {f"F{n}": n - 1 for n in range(1, 13)}
_NAMED = {
    # Control characters.
    8: "Backspace", 10: "Enter", 13: "Enter", 27: "Esc", 32: "Space", 127: "Backspace",
    # X11, the keypad last, first without Num Lock.
    0xFF08: "Backspace", 0xFF0D: "Enter", 0xFF1B: "Esc", 0xFF50: "Home", 0xFF51: "Left", 0xFF52: "Up", 0xFF53: "Right",
    0xFF54: "Down", 0xFF55: "PageUp", 0xFF56: "PageDown", 0xFF57: "End", 0xFF80: "Space", 0xFF8D: "Enter",
    0xFF95: "Home", 0xFF96: "Left", 0xFF97: "Up", 0xFF98: "Right", 0xFF99: "Down", 0xFF9A: "PageUp", 0xFF9B: "PageDown",
    0xFF9C: "End", 0xFFAB: "+", 0xFFAC: ",", 0xFFAD: "-", 0xFFAE: ".", 0xFFBD: "=",
    **{0xFFB0 + digit: str(digit) for digit in range(10)}, **{0xFFBE + n: name for name, n in _F.items()},
    # macOS.
    0xF700: "Up", 0xF701: "Down", 0xF702: "Left", 0xF703: "Right", 0xF729: "Home", 0xF72B: "End", 0xF72C: "PageUp",
    0xF72D: "PageDown", **{0xF704 + n: name for name, n in _F.items()},
}  # fmt: skip
_WINDOWS = {
    0x21: "PageUp", 0x22: "PageDown", 0x23: "End", 0x24: "Home", 0x25: "Left", 0x26: "Up", 0x27: "Right", 0x28: "Down",
    **{0x70 + n: name for name, n in _F.items()},
}  # fmt: skip


def key_names(code: int, system: str = sys.platform) -> tuple[str, ...]:
    """Names that a key may have in the table of keys, by a code of ``cv2.waitKeyEx``, the likeliest first.

    Args:
        code: of the key.
        system: as `sys.platform` names it.
    """
    # GTK sets higher bits: the state of Shift, Num Lock and other modifiers. Windows has its named keys there.
    low = code & 0xFFFF
    name = _NAMED.get(low) if low else _WINDOWS.get(code >> 16)
    if name is not None:
        return (name,)
    character = _character(code, low, system).lower()
    digit = unicodedata.digit(character, None) if len(character) == 1 else None
    return (character, _KEYS.get(character, "" if digit is None else str(digit)))


def _character(code: int, low: int, system: str) -> str:
    if low < 0x80:
        return chr(low) if low > 0x20 else ""
    if system == "darwin":
        return chr(low)
    if system == "win32":
        import locale

        return bytes([low & 0xFF]).decode(locale.getencoding(), "ignore") if low < 0x100 else chr(low)
    if code & _UNICODE_KEYSYM:
        return chr(low)
    if low < 0x100:
        return chr(low)
    alphabet = _ALPHABETS.get(low >> 8)
    return "" if alphabet is None else bytes([low & 0xFF]).decode(alphabet, "ignore")
