"""Key files: written once and for the owner only, read from a path or from the environment."""

import os
import secrets
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from mlgate.attest.dsse import MAX_ENVELOPE_BYTES
from mlgate.attest.keyless import read_pipeline
from mlgate.attest.keys import KeyMaterialError, SigningKey, read_private
from mlgate.attest.pipeline import Listed
from mlgate.attest.signers import MAX_SIGNER_BYTES, parse_signer
from mlgate.errors import ConfigError

if TYPE_CHECKING:
    from mlgate.policy_signers import PipelineSigner

KEY_VARIABLE = "MLGATE_SIGNING_KEY"
PASSPHRASE_VARIABLE = "MLGATE_KEY_PASSPHRASE"  # noqa: S105  (its name, not what it holds)
MAX_KEY_BYTES = 16 * 1024
_BEGIN = "-----BEGIN "


def write_pair(
    key: SigningKey, *, private: Path, public: Path, passphrase: str | None, expires: date | None = None
) -> None:
    """Write both files of a pair, the private one readable by its owner only; all of it or nothing.

    Args:
        key: Signs and verifies.
        private: The file that signs.
        public: The file that is listed.
        passphrase: Encrypts the private one; `None` leaves it open.
        expires: First day, in UTC, on which the public one is believed no more; `None` for no end.

    Raises:
        KeyMaterialError: One of them is there already and stays as it is, or the folder can not keep them.
    """
    for path in (private, public):
        if path.is_symlink() or path.exists():
            raise _there_already(path)
    listed = (b"" if expires is None else f"# expires: {expires}\n".encode()) + key.public.pem()
    with _staged(private, key.pem(passphrase), 0o600) as new_private, _staged(public, listed, 0o644) as new:
        _link(new_private, private)
        try:
            _link(new, public)
        except KeyMaterialError:
            private.unlink()
            raise


def load_signing_key(environment: Mapping[str, str], path: Path | None = None) -> SigningKey | None:
    """Return the key to sign with; `None` where nobody gave one.

    Args:
        environment: `MLGATE_SIGNING_KEY` is the PEM itself or a path to it; `MLGATE_KEY_PASSPHRASE` opens it.
        path: A file that comes before the environment.

    Raises:
        KeyMaterialError: A key was given and can not be used. Never shows what was given.
    """
    passphrase = environment.get(PASSPHRASE_VARIABLE) or None
    if path is not None:
        return read_private(_read(path, MAX_KEY_BYTES), passphrase=passphrase, name=str(path))
    given = environment.get(KEY_VARIABLE, "").strip()
    if not given:
        return None
    if _BEGIN in given:
        return read_private(f"{given}\n".encode(errors="surrogateescape"), passphrase=passphrase, name=KEY_VARIABLE)
    if not _is_file(given):
        # What was given may be a key that lost its head: it must not be shown as a path.
        message = f"{KEY_VARIABLE} is neither a private key in PEM nor the path of a file"
        raise KeyMaterialError(message, hint="give the whole text of the .key file, or its path")
    return read_private(_read(Path(given), MAX_KEY_BYTES), passphrase=passphrase, name=given)


def read_signers(
    entries: "Sequence[str | PipelineSigner]", folder: Path, *, offline: bool = False
) -> tuple[Listed, ...]:
    """Read the signers that a policy lists; paths are relative to *folder*.

    Args:
        entries: Names of key files, and pipelines.
        folder: Of the policy.
        offline: Whether a pipeline without a trust root of its own is an error.

    Raises:
        ConfigError: One can not be read: a gate that left it out would refuse, or admit, without a word.
    """
    return tuple(
        parse_signer(_read(folder / entry, MAX_SIGNER_BYTES), name=entry)
        if isinstance(entry, str)
        else read_pipeline(entry, folder, offline=offline)
        for entry in entries
    )


def read_envelope_file(path: Path) -> bytes:
    """Return the bytes of an envelope that the user named.

    Raises:
        ConfigError: It can not be read, or is larger than an envelope is.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_ENVELOPE_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"{path} can not be read ({error.strerror})", hint="name the file that was saved") from None
    if len(raw) > MAX_ENVELOPE_BYTES:
        raise ConfigError(f"{path} is over {MAX_ENVELOPE_BYTES} bytes, which no envelope is")
    return raw


def _read(path: Path, limit: int) -> bytes:
    # A link is followed: that is how a cluster mounts a secret.
    if not _is_file(path):
        raise KeyMaterialError(f"{path} is not a file", hint="mlgate keys new")
    try:
        with path.open("rb") as file:
            raw = file.read(limit + 1)
    except OSError as error:
        raise KeyMaterialError(f"{path} can not be read ({error.strerror})") from None
    if len(raw) > limit:
        raise KeyMaterialError(f"{path} is over {limit} bytes, which no key is")
    return raw


def _is_file(path: Path | str) -> bool:
    try:
        return Path(path).is_file()
    except (OSError, ValueError):  # longer than a path can be, or with a NUL in it
        return False


@contextmanager
def _staged(target: Path, content: bytes, mode: int) -> Iterator[Path]:
    """Yield a complete file beside *target*, gone again at the end."""
    staged = target.with_name(f".{target.name}.{secrets.token_hex(8)}")
    try:
        try:
            _write(staged, content, mode)
        except OSError as error:
            raise _not_written(target, error) from None
        yield staged
    finally:
        staged.unlink(missing_ok=True)


def _write(path: Path, content: bytes, mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    with os.fdopen(descriptor, "wb") as file:
        if mode == 0o600 and stat.S_IMODE(os.fstat(descriptor).st_mode) & 0o077:
            message = f"{path.parent} keeps no file for its owner only: others could read the key"
            raise KeyMaterialError(message, hint="choose a folder on another file system")
        file.write(content)
        file.flush()
        os.fsync(descriptor)


def _link(staged: Path, target: Path) -> None:
    """Give a complete file its name; unlike a rename, this never takes another file's place."""
    try:
        os.link(staged, target, follow_symlinks=False)
    except FileExistsError:
        raise _there_already(target) from None
    except OSError as error:
        raise _not_written(target, error) from None


def _there_already(path: Path) -> KeyMaterialError:
    return KeyMaterialError(f"{path} is there already; it stays as it is", hint="choose another name")


def _not_written(path: Path, error: OSError) -> KeyMaterialError:
    return KeyMaterialError(f"{path}: can not be written ({error.strerror})")
