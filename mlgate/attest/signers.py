"""Signers: the public keys that a policy lists, and how long each is believed. Pure.

A signer's file is one public key in PEM. Comment lines may stand before it, each `# key: value`:

    # note: CI of the churn team
    # expires: 2027-01-01
    # revoked: 2026-11-20
    -----BEGIN PUBLIC KEY-----
"""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime

from mlgate.attest.keys import KeyMaterialError, PublicKey, read_public

MAX_SIGNER_BYTES = 16 * 1024
_COMMENT = re.compile(r"#\s*([A-Za-z_-]+)\s*:\s*(.*?)\s*")
_WORDS = ("expires", "note", "revoked")


@dataclass(frozen=True, slots=True, kw_only=True)
class Signer:
    """A public key that may sign evidence.

    Attributes:
        keyid: SHA-256 of its SubjectPublicKeyInfo.
        name: What the policy calls it.
        public: The key.
        expires: First day, in UTC, on which it is believed no more; `None` where it has no end.
        revoked: Day on which it was taken back; `None` where it was not.
    """

    keyid: str
    name: str
    public: PublicKey
    expires: date | None = None
    revoked: date | None = None

    def expired(self, now: datetime) -> bool:
        """Return whether its last day is over at *now*, an aware time."""
        return self.expires is not None and now.astimezone(UTC).date() >= self.expires


def parse_signer(raw: bytes, *, name: str) -> Signer:
    """Read a signer's file.

    A comment that is not understood is refused: a misspelt `revoked` would leave a stolen key believed.

    Args:
        raw: The file.
        name: What the policy calls it.

    Raises:
        KeyMaterialError: Too large, no single public key, or a line that says nothing known; names file and line.
    """
    if len(raw) > MAX_SIGNER_BYTES:
        raise KeyMaterialError(f"{name} is {len(raw)} bytes > {MAX_SIGNER_BYTES} of a public key")
    try:
        lines = raw.decode("utf-8").splitlines()
    except UnicodeDecodeError:
        raise KeyMaterialError(f"{name} is no text, and a public key is PEM", hint="mlgate keys new") from None
    begin = next((n for n, line in enumerate(lines) if line.startswith("-----BEGIN ")), len(lines))
    said = _comments(lines[:begin], name)
    block = [line.strip() for line in lines[begin:] if line.strip()]
    public = read_public("\n".join([*block, ""]).encode(), name=name)
    if not block[-1].startswith("-----END "):
        raise KeyMaterialError(f"{name} has text after its key", hint="comments stand before it")
    return Signer(
        keyid=public.keyid,
        name=name,
        public=public,
        expires=_day(said.get("expires"), name, "expires"),
        revoked=_day(said.get("revoked"), name, "revoked"),
    )


def _comments(lines: list[str], name: str) -> dict[str, str]:
    said: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        match = _COMMENT.fullmatch(line.strip())
        if match is None or match[1] not in _WORDS:
            # The line itself is not shown: it may be the first line of a key without its head.
            message = f"{name}:{number}: not '# key: value' with one of the keys {', '.join(_WORDS)}"
            raise KeyMaterialError(message, hint="write any other remark as '# note: …'")
        if match[1] in said and match[1] != "note":
            raise KeyMaterialError(f"{name}:{number}: '{match[1]}' stands there twice")
        said[match[1]] = match[2]
    return said


def _day(text: str | None, name: str, word: str) -> date | None:
    if text is None:
        return None
    # fromisoformat takes 20270101 and 2027-W01-1 too; a date that people misread is no date here.
    if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
        try:
            return date.fromisoformat(text)
        except ValueError:
            pass
    raise KeyMaterialError(f"{name}: {word} is no date", hint=f"write it as '# {word}: 2027-01-01'")
