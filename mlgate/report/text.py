"""Text of unknown origin, made fit to be shown: no control characters, no direction tricks, no megabytes. Pure."""

import json
import re
from typing import Any

ELLIPSIS = "…"
# Far beyond any second, byte or score; arithmetic on it stays finite. NaN is on neither side of it.
MAX_NUMBER = 1e15

# Control characters but tab and newline, lone surrogates, the two non-characters that XML 1.0 refuses, and the
# characters that reorder or hide what stands around them (Trojan Source, CVE-2021-42574).
_UNFIT = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff]"
)


def clean(text: object, limit: int) -> str:
    """Return at most *limit* characters of *text*, with every unfit character in a visible form.

    A cut text ends in "…" and the number of characters left out.
    """
    raw = str(text)
    # Cut first: a megabyte need not be searched to show its beginning.
    shown = _UNFIT.sub(_visible, raw[: limit + 1].replace("\r\n", "\n"))
    if len(raw) <= limit and len(shown) <= limit:
        return shown
    more = f"{ELLIPSIS} ({len(raw):,} characters in all)".replace(",", " ")
    return shown[: max(0, limit - len(more))] + more if limit > 2 * len(more) else shown[: limit - 1] + ELLIPSIS


def one_line(text: object, limit: int) -> str:
    """Return at most *limit* characters of *text*, cleaned, with all white space as single spaces."""
    # Runs of white space shrink, so a little more is read than is shown.
    raw = " ".join(str(text)[: 4 * limit + 100].split())
    shown = _UNFIT.sub(_visible, raw)
    return shown if len(shown) <= limit else shown[: limit - 1] + ELLIPSIS


def clean_end(text: object, limit: int) -> str:
    """Return the last *limit* characters of *text*, cleaned: a log says at its end what went wrong."""
    raw = str(text)
    shown = clean(raw[-limit:], 6 * limit)[-limit:]
    return shown if len(raw) <= limit else f"{ELLIPSIS}{shown[1:]}"


def as_text(value: object) -> str:
    """Return *value* as it stands where it is text, else as indented JSON."""
    if isinstance(value, str):
        return value
    return json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, default=str)


def number(value: Any) -> float | None:
    """Return *value* as a float where it is a number that can be drawn, else `None`: details are not ours to trust."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) <= MAX_NUMBER else None


def numbers(value: Any) -> list[float]:
    """Return the finite numbers of a list; nothing where it is no list."""
    if not isinstance(value, list | tuple):
        return []
    return [found for found in map(number, value) if found is not None]


def _visible(match: re.Match[str]) -> str:
    code = ord(match[0])
    # Unicode has a picture of each C0 control character, and one of DEL.
    if code < 0x20:
        return chr(0x2400 + code)
    return "\u2421" if code == 0x7F else f"\\u{code:04x}"
