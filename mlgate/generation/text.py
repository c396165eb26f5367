"""Domains of text and bytes. Pure."""

import base64
import binascii
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlgate.generation.domain import ValueDomain, distinct

_LONGEST = 300  # of a text that nothing bounds: longer than any name, shorter than a document
_USUAL = 12
# Half of the texts are plain; the others are of one script each, with what trips code that counts bytes or code units.
_ALPHABETS = (
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 -_.,;:'\"\\/%&<>{}()\t\n",
    "äöüßéñçøłåæœþðÅÉÎŐžšćďğıİſ ",
    "αβγδλπΩжийщыэюяЖЩ ",
    "あいうアイウ漢字語日本한국어中文 ",
    "שלוםאבגדمرحباسعلیکمفارسی ١٢٣\u200f\u202e",
    "aeo\u0301\u0308\u0323\u20dd\u0e49กำn\u0303\u200d\u200b",
    "🙂👍🏽👨\u200d👩🚀🇩🇪𝕏𝟘𠀀𐍈𝒳\U0001f9ec",
)
_CODES = np.array([ord(letter) for alphabet in _ALPHABETS for letter in alphabet], dtype="<u4")
_SIZES = np.array([len(alphabet) for alphabet in _ALPHABETS])
_STARTS = np.concatenate([[0], np.cumsum(_SIZES)[:-1]])
_SHARES = np.array([0.5] + [0.5 / (len(_ALPHABETS) - 1)] * (len(_ALPHABETS) - 1))
_EDGES = (
    "", " ", "a", "0", "e\u0301", "שלום", "مرحبا", "\u202eabc", "🙂", "👨\u200d👩\u200d👧", "𠀀", "ß", "İ", "'", '"\\\n', "漢字",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class TextDomain(ValueDomain):
    """Any Unicode text without lone surrogates and NUL.

    Attributes:
        shortest: Fewest code points.
        longest: Most code points.
        plain: ASCII only, for what is bytes in numpy.
    """

    default: Any = "a"
    shortest: int = 0
    longest: int = _LONGEST
    plain: bool = False

    @property
    def edges(self) -> Sequence[Any]:
        """The empty text, one of each script, the shortest and the longest."""
        ends = [self._sized("a", self.shortest), self._sized("a", self.longest)]
        ends += [] if self.plain else [self._sized("🙂", self.longest)]
        return distinct(text for text in [*_EDGES, *ends] if self.valid(text))

    def valid(self, value: Any) -> bool:
        """Whether it is text of that length."""
        if not isinstance(value, str) or not self.shortest <= len(value) <= self.longest or "\0" in value:
            return False
        return value.isascii() if self.plain else not any("\ud800" <= letter <= "\udfff" for letter in value)

    def spread(self, n: int, rng: np.random.Generator) -> list[Any]:
        """Draw texts of about a dozen letters, each of one script."""
        top = min(self.longest, self.shortest + _USUAL)
        lengths = rng.integers(self.shortest, top, n, endpoint=True)
        script = np.repeat(
            np.zeros(n, dtype=np.int64) if self.plain else rng.choice(len(_SIZES), n, p=_SHARES), lengths
        )
        picks = _STARTS[script] + (rng.random(len(script)) * _SIZES[script]).astype(np.int64)
        # One decoding for all: joining letter by letter is what generators are slow at.
        whole = _CODES[picks].tobytes().decode("utf-32-le")
        ends = np.cumsum(lengths).tolist()
        return [whole[start:end] for start, end in zip([0, *ends[:-1]], ends, strict=True)] if n else []

    def nearer(self, value: Any) -> Iterator[Any]:
        """Yield the empty text and ever longer beginnings."""
        for size in (0, 1, len(value) // 4, len(value) // 2):
            yield value[: max(size, self.shortest)]

    def _sized(self, letter: str, size: int) -> str:
        return letter * size


@dataclass(frozen=True, slots=True, kw_only=True)
class BytesDomain(ValueDomain):
    """Bytes, as base64 text: MLflow's server decodes it.

    Attributes:
        shortest: Fewest bytes.
        longest: Most bytes.
    """

    default: Any = "YQ=="
    shortest: int = 0
    longest: int = _LONGEST

    @property
    def edges(self) -> Sequence[Any]:
        """No bytes, zeros, all ones, a PNG's head, the longest."""
        raw = [b"", b"\0", b"\xff", b"\x89PNG\r\n\x1a\n", bytes(self.shortest), bytes(self.longest)]
        return distinct(_text(part) for part in raw if self.shortest <= len(part) <= self.longest)

    def valid(self, value: Any) -> bool:
        """Whether it is base64 of that many bytes."""
        try:
            size = len(base64.b64decode(value, validate=True)) if isinstance(value, str) else -1
        except (binascii.Error, ValueError):
            return False
        return self.shortest <= size <= self.longest

    def spread(self, n: int, rng: np.random.Generator) -> list[Any]:
        """Draw bytes."""
        top = min(self.longest, self.shortest + 4 * _USUAL)
        ends = np.cumsum(rng.integers(self.shortest, top, n, endpoint=True)).tolist()
        raw = rng.bytes(ends[-1] if ends else 0)
        return [_text(raw[start:end]) for start, end in zip([0, *ends[:-1]], ends, strict=True)] if n else []

    def nearer(self, value: Any) -> Iterator[Any]:
        """Yield ever longer beginnings."""
        raw = base64.b64decode(value)
        for size in (0, 1, len(raw) // 2):
            yield _text(raw[: max(size, self.shortest)])

    def spelled(self, value: Any) -> Any:
        """Return it without the line breaks that Python's `encodebytes` puts in."""
        return "".join(value.split()) if isinstance(value, str) else value


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
