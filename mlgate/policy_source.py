"""Where a policy to compare comes from: a file, standard input, or a revision of git; and the bytes of its files."""

import hashlib
import os
import posixpath
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TextIO

from mlgate.errors import PolicyError
from mlgate.git_tree import GitTree
from mlgate.policy import Policy
from mlgate.policy_diff import Snapshot, Standing
from mlgate.policy_file import MAX_POLICY_BYTES, load_policy, parse_policy
from mlgate.policy_signers import signer_files
from mlgate.regressions import regression_files

STDIN = "-"


def read_policies(old: str, new: str, *, stdin: TextIO) -> tuple[Snapshot, Snapshot]:
    """Read both sides.

    Args:
        old: A file, `-`, or `REV:PATH` as git writes it.
        new: The same.
        stdin: What `-` reads.

    Raises:
        PolicyError: One can not be read; says which.
    """
    if old == new == STDIN:
        raise PolicyError("both policies are '-': standard input can be read once", hint="give a file, or REV:PATH")
    return _read(old, "old", stdin), _read(new, "new", stdin)


def _read(source: str, side: str, stdin: TextIO) -> Snapshot:
    try:
        if source == STDIN:
            return _streamed(source, stdin)
        if Path(source).exists() and not Path(source).is_file() and not Path(source).is_dir():
            with Path(source).open(encoding="utf-8") as stream:  # a pipe, as a shell's <(…) gives one
                return _streamed(source, stream)
        if ":" in source and not Path(source).exists():
            return _at_revision(source)
        return _snapshot(source, load_policy(Path(source)))
    except PolicyError as error:
        raise PolicyError(f"{side} policy {source}: {error.message}", hint=error.hint) from error
    except (OSError, UnicodeDecodeError) as error:
        raise PolicyError(f"{side} policy {source}: can not be read ({error})") from error


def _streamed(source: str, stream: TextIO) -> Snapshot:
    text = stream.read(MAX_POLICY_BYTES + 1)
    if len(text.encode()) > MAX_POLICY_BYTES:
        raise PolicyError(f"larger than {MAX_POLICY_BYTES} bytes")
    policy = parse_policy(text)
    return Snapshot(name=source, policy=policy, digest=policy.digest, files=None, keys={})


def _at_revision(source: str) -> Snapshot:
    """Write the policy, and the files that it names, into a folder that goes again, so that they are read as any."""
    revision, _, path = source.partition(":")
    tree = GitTree.of(revision)
    place = tree.place(path)
    text = tree.read(place, limit=MAX_POLICY_BYTES)
    with TemporaryDirectory(prefix="mlgate-policy-") as name:
        target = Path(name) / place
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(text)
        for key, names in _named(parse_policy(text.decode())).items():
            for named in names:
                tree.write(posixpath.join(posixpath.dirname(place), named), Path(name), key=key)
        try:
            return _snapshot(source, load_policy(target))
        except PolicyError as error:
            # The folder is gone when somebody reads this.
            raise PolicyError(error.message.replace(f"{target.parent.resolve()}/", ""), hint=error.hint) from error


def _snapshot(source: str, policy: Policy) -> Snapshot:
    named = _named(policy)
    for name, path in zip(policy.values.own_checks, policy.own_checks, strict=True):
        if not path.exists():
            raise PolicyError(f"own_checks: {name} does not exist", hint="paths are relative to the policy file")
    if policy.regressions is not None and not policy.regressions.is_dir():
        raise PolicyError(
            f"properties.regressions: {policy.values.properties.regressions} is no folder",
            hint="git keeps no empty folder: put a failure or a .gitkeep into it, or remove the key",
        )
    files = {
        "own_checks": _digests(policy.folder, _sources(policy.own_checks)),
        "accuracy.metrics": _digests(
            policy.folder, _sources(policy.folder / name for name in named["accuracy.metrics"])
        ),
        "load.profile.trace": _digests(policy.folder, (policy.folder / name for name in named["load.profile.trace"])),
        "load.locustfile.file": _digests(
            policy.folder, (policy.folder / name for name in named["load.locustfile.file"])
        ),
        "properties.regressions": _digests(
            policy.folder, regression_files(policy.regressions) if policy.regressions else ()
        ),
    }
    listed = dict.fromkeys(named["evidence.signers"] + named["evidence.waivers"])
    read = {name: _key(policy.folder / name) for name in listed if (policy.folder / name).is_file()}
    return Snapshot(
        name=source,
        policy=policy,
        digest=policy.digest,
        files=files,
        keys={name: key for name, (key, _) in read.items()},
        standing={name: standing for name, (_, standing) in read.items()},
    )


def _key(file: Path) -> tuple[str, Standing]:
    """Return which key a file holds and how long it is believed; of any other file its digest."""
    from mlgate.attest.keys import KeyMaterialError  # noqa: PLC0415  (as below)
    from mlgate.attest.signers import parse_signer  # noqa: PLC0415  (cryptography, which no other policy needs)

    try:
        signer = parse_signer(file.read_bytes(), name=file.name)
    except KeyMaterialError:
        return _digest(file), Standing()
    expires = None if signer.expires is None else signer.expires.isoformat()
    return f"key:{signer.keyid}", Standing(expires=expires, revoked=signer.revoked is not None)


def _named(policy: Policy) -> Mapping[str, tuple[str, ...]]:
    """Return the files and folders that the policy names, by key, as it names them."""
    values = policy.values
    tops = dict.fromkeys(name.partition(":")[0].partition(".")[0] for name in values.accuracy.own_metrics)
    own = values.load.locustfile
    return {
        "own_checks": values.own_checks,
        "accuracy.metrics": tuple(name for top in tops for name in (top, f"{top}.py")),
        "load.profile.trace": (values.load.trace,) if values.load.trace is not None else (),
        "load.locustfile.file": (own.file,) if own is not None else (),
        "properties.regressions": (values.properties.regressions,) if values.properties.regressions else (),
        "evidence.signers": signer_files(values.evidence.signers),
        "evidence.waivers": tuple(map(str, values.evidence.waivers)),
    }


def _sources(paths: Iterable[Path]) -> Iterator[Path]:
    """Yield the Python files at or below each path; the same that `Policy.digest` reads."""
    for path in paths:
        for file in [path] if path.is_file() else path.rglob("*.py"):
            if file.is_file() and "__pycache__" not in file.parts:
                yield file


def _digests(folder: Path, files: Iterable[Path]) -> Mapping[str, str]:
    return {os.path.relpath(file, folder): _digest(file) for file in sorted(files)}


def _digest(file: Path) -> str:
    return f"sha256:{hashlib.sha256(file.read_bytes()).hexdigest()}"
