"""Keys: Ed25519 and ECDSA P-256 pairs as PEM. Pure but for the randomness; the only module that knows the library.

No message, `repr` or exception chain here carries a byte of a private key or a passphrase.
"""

import hashlib
import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import assert_never

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from mlgate.errors import ConfigError

_BEGIN = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----")
_ECDSA = ec.ECDSA(hashes.SHA256())


class KeyMaterialError(ConfigError):
    """A key that can not be read, made or kept. Never says what is in it."""


class KeyKind(StrEnum):
    """The kinds of key that sign and verify here."""

    ED25519 = "ed25519"
    ECDSA = "ecdsa"  # over P-256, with SHA-256


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicKey:
    """A key that verifies.

    Attributes:
        kind: Of what kind.
        keyid: SHA-256 of its SubjectPublicKeyInfo in DER, in hex: what signatures name it by.
    """

    kind: KeyKind
    keyid: str
    _key: ed25519.Ed25519PublicKey | ec.EllipticCurvePublicKey = field(repr=False, compare=False)

    def verifies(self, signature: bytes, message: bytes) -> bool:
        """Return whether *signature* is this key's over *message*; ECDSA signatures are in DER."""
        try:
            if isinstance(self._key, ed25519.Ed25519PublicKey):
                self._key.verify(signature, message)
            else:
                self._key.verify(signature, message, _ECDSA)
        except InvalidSignature:
            return False
        return True

    def pem(self) -> bytes:
        """Return the SubjectPublicKeyInfo as PEM."""
        return self._key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKey:
    """A key that signs."""

    public: PublicKey
    _key: ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey = field(repr=False, compare=False)

    def sign(self, message: bytes) -> bytes:
        """Return the signature over *message*: 64 bytes of Ed25519, or ECDSA in DER."""
        if isinstance(self._key, ed25519.Ed25519PrivateKey):
            return self._key.sign(message)
        return self._key.sign(message, _ECDSA)

    def pem(self, passphrase: str | None) -> bytes:
        """Return the PKCS#8 form as PEM, encrypted where there is a passphrase."""
        kept: serialization.KeySerializationEncryption = (
            serialization.BestAvailableEncryption(passphrase.encode()) if passphrase else serialization.NoEncryption()
        )
        return self._key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, kept)


def generate(kind: KeyKind) -> SigningKey:
    """Make a new pair from the operating system's randomness."""
    match kind:
        case KeyKind.ED25519:
            return _signing_key(ed25519.Ed25519PrivateKey.generate())
        case KeyKind.ECDSA:
            return _signing_key(ec.generate_private_key(ec.SECP256R1()))
        case _:
            assert_never(kind)


def read_public(pem: bytes, *, name: str) -> PublicKey:
    """Read one public key.

    Args:
        pem: One PEM block.
        name: Where it stands, for the message.

    Raises:
        KeyMaterialError: A private key, no key, several, or one of another kind.
    """
    label = _label(pem, name)
    if label != "PUBLIC KEY":
        private = "PRIVATE KEY" in label
        message = (
            f"{name} holds a private key, and a signer is a public one" if private else f"{name} holds no public key"
        )
        raise KeyMaterialError(message, hint="list the .pub file that mlgate keys new wrote")
    try:
        found = serialization.load_pem_public_key(pem)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise KeyMaterialError(f"{name} holds no key that can be read", hint="mlgate keys new") from None
    if isinstance(found, (ed25519.Ed25519PublicKey, ec.EllipticCurvePublicKey)):
        return _public_key(found, name)
    raise _other_kind(name)


def read_private(pem: bytes, *, passphrase: str | None, name: str) -> SigningKey:
    """Read one private key.

    Args:
        pem: One PEM block, PKCS#8 or SEC 1.
        passphrase: For a key that is encrypted; not looked at for one that is not.
        name: Where it stands, for the message.

    Raises:
        KeyMaterialError: A public key, no key, several, one of another kind, or the passphrase is missing or wrong.
    """
    label = _label(pem, name)
    if "PRIVATE KEY" not in label:
        raise KeyMaterialError(f"{name} holds no private key", hint="the .key file that mlgate keys new wrote signs")
    encrypted = label == "ENCRYPTED PRIVATE KEY"
    if encrypted and not passphrase:
        raise KeyMaterialError(f"{name} is encrypted", hint="set MLGATE_KEY_PASSPHRASE")
    try:
        found = serialization.load_pem_private_key(pem, passphrase.encode() if encrypted and passphrase else None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        why = "can not be decrypted with MLGATE_KEY_PASSPHRASE" if encrypted else "holds no key that can be read"
        raise KeyMaterialError(f"{name} {why}") from None
    if isinstance(found, (ed25519.Ed25519PrivateKey, ec.EllipticCurvePrivateKey)):
        return _signing_key(found, name)
    raise _other_kind(name)


def _label(pem: bytes, name: str) -> str:
    labels = _BEGIN.findall(pem)
    if len(labels) != 1:
        raise KeyMaterialError(f"{name} holds {len(labels) or 'no'} PEM blocks, not one", hint="one key, one file")
    return str(labels[0].decode())


def _signing_key(key: ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey, name: str = "") -> SigningKey:
    return SigningKey(public=_public_key(key.public_key(), name), _key=key)


def _public_key(key: ed25519.Ed25519PublicKey | ec.EllipticCurvePublicKey, name: str) -> PublicKey:
    kind = KeyKind.ED25519
    if isinstance(key, ec.EllipticCurvePublicKey):
        kind = KeyKind.ECDSA
        if not isinstance(key.curve, ec.SECP256R1):
            raise _other_kind(name)
    der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return PublicKey(kind=kind, keyid=hashlib.sha256(der).hexdigest(), _key=key)


def _other_kind(name: str) -> KeyMaterialError:
    return KeyMaterialError(f"{name} is neither Ed25519 nor ECDSA over P-256", hint="mlgate keys new")
