"""String and duration literals, as Prometheus writes them (Go's strconv.Quote, its model.Duration)."""

from __future__ import annotations

_SHORT = {
    "\a": "\\a",
    "\b": "\\b",
    "\f": "\\f",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
    "\v": "\\v",
    "\\": "\\\\",
}
_UNITS = (
    ("y", 31_536_000_000, True),
    ("w", 604_800_000, True),
    ("d", 86_400_000, True),
    ("h", 3_600_000, False),
    ("m", 60_000, False),
    ("s", 1_000, False),
    ("ms", 1, False),
)
"""Unit, milliseconds, and whether it is used only where nothing remains."""


def quote(text: str, delimiter: str = '"') -> str:
    """A string literal; characters that do not print are escaped."""
    return delimiter + "".join(_escaped(character, delimiter) for character in text) + delimiter


def _escaped(character: str, delimiter: str) -> str:
    if character == delimiter:
        return f"\\{character}"
    if character.isprintable() and character != "\\":
        return character
    code = ord(character)
    if character in _SHORT:
        return _SHORT[character]
    if code < 0x20 or code == 0x7F:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def duration(milliseconds: int) -> str:
    """A duration in the largest units that fit, such as 1h30m; days and longer only where they are whole."""
    if milliseconds == 0:
        return "0s"
    sign, left, pieces = "-" if milliseconds < 0 else "", abs(milliseconds), []
    for unit, size, whole in _UNITS:
        if left // size and not (whole and left % size):
            pieces.append(f"{left // size}{unit}")
            left %= size
    return sign + "".join(pieces)
