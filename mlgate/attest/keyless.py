"""Keyless: sign and check through Sigstore, for GitLab pipelines. The only module that knows the library, and not before it is needed.

Built against the documented interface of sigstore 4 (https://sigstore.github.io/sigstore-python/): `SigningContext`,
`Signer.sign_dsse`, `Verifier.verify_dsse`, `policy`, `TrustedRoot.from_file`, `ClientTrustConfig`. Tried with a Sigstore
of the tests' own, and never with a live Fulcio, Rekor or GitLab.
"""

import importlib.util
import queue
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlgate.attest.bundle import MAX_BUNDLE_BYTES
from mlgate.attest.dsse import PAYLOAD_TYPE
from mlgate.attest.pipeline import Pipeline
from mlgate.attest.refusal import Refusal, Refused
from mlgate.errors import ConfigError, MlgateError, one_line

if TYPE_CHECKING:
    from cryptography.x509 import Certificate
    from sigstore.models import ClientTrustConfig
    from sigstore.oidc import IdentityToken
    from sigstore.verify import Verifier

    from mlgate.policy_signers import PipelineSigner

TOKEN_VARIABLE = "MLGATE_SIGSTORE_ID_TOKEN"  # noqa: S105  (its name, not what it holds)
CONFIG_VARIABLE = "MLGATE_SIGSTORE_CONFIG"
# The library's requests to Fulcio and Rekor have no limit of their own, and a run must end with its verdict.
SIGNING_LIMIT_S = 60.0
# Of the words of an error that is another library's.
_SHOWN = 300


def require_extra(who: str) -> None:
    """Say that the extra is missing, where it is.

    Args:
        who: Asks for it, for the message.

    Raises:
        ConfigError: It is not installed.
    """
    if importlib.util.find_spec("sigstore") is None:
        raise ConfigError(
            f"{who} needs Sigstore's library, which is not installed", hint="pip install 'mlgate[sigstore]'"
        )


def read_pipeline(entry: "PipelineSigner", folder: Path, *, offline: bool) -> Pipeline:
    """Return a policy's entry as a signer; the trust root is read with the first bundle.

    Args:
        entry: From `evidence.signers`.
        folder: Of the policy.
        offline: Whether a trust root that would have to be fetched is an error.

    Raises:
        ConfigError: The extra is missing, or the trust root's file, or one has to be fetched and may not.
    """
    who = f"evidence.signers: {entry.project_path}"
    require_extra(who)
    root = None if entry.trust_root is None else folder / entry.trust_root
    if root is None and offline:
        raise ConfigError(f"{who} has no trust_root, and this command asks no network for one", hint="trust_root: FILE")
    if root is not None and not root.is_file():
        raise ConfigError(f"{who}: trust_root {root} is not a file", hint="paths are relative to the policy file")
    claims = entry.model_dump(exclude={"trust_root"})
    return Pipeline(**claims, check=TrustRoot(root).payload)


class TrustRoot:
    """Whose certificates and log are believed, read once, with the first bundle.

    Args:
        path: File with a Sigstore trusted root; `None` fetches that of Sigstore's public instance.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path

    @cached_property
    def _verifier(self) -> "Verifier | Refused":
        from sigstore.models import ClientTrustConfig, TrustedRoot  # noqa: PLC0415  (it takes a second)
        from sigstore.verify import Verifier  # noqa: PLC0415  (as above)

        try:
            if self._path is None:
                return Verifier(trusted_root=ClientTrustConfig.production().trusted_root)
            return Verifier(trusted_root=TrustedRoot.from_file(str(self._path)))
        except Exception as error:  # noqa: BLE001  (whatever it is, there is nothing to believe a certificate by)
            where = (
                "Sigstore's trust root can not be fetched" if self._path is None else f"{self._path} is no trust root"
            )
            message = f"{where} ({_said(error)})"
            return Refused(code=Refusal.NO_TRUST_ROOT, message=message)

    def payload(self, pipeline: Pipeline, raw: bytes) -> bytes | Refused:
        """Return what *pipeline* signed, or why the bundle is not believed. Raises nothing, whatever *raw* is."""
        from sigstore.models import Bundle  # noqa: PLC0415  (as above)

        verifier = self._verifier
        if isinstance(verifier, Refused):
            return verifier
        try:
            bundle = Bundle.from_json(raw)
        except Exception as error:  # noqa: BLE001  (from anywhere, through parsers that each have their own)
            return Refused(code=Refusal.UNPARSABLE, message=f"the bundle can not be read: {_said(error)}")
        claims = _Claims(pipeline)
        try:
            kind, payload = verifier.verify_dsse(bundle, claims)
        except Exception as error:  # noqa: BLE001  (as above; anything but a return is no)
            return _refused(claims, error)
        if kind != PAYLOAD_TYPE:
            return Refused(
                code=Refusal.WRONG_TYPE, message=f"the bundle's payload type is '{kind[:60]}', not '{PAYLOAD_TYPE}'"
            )
        return payload


@dataclass(kw_only=False)
class _Claims:
    """The library's `VerificationPolicy`: each claim, and which one differs. It is asked between certificate and log."""

    pipeline: Pipeline
    asked: bool = False
    differs: str | None = None

    def verify(self, cert: "Certificate") -> None:
        self.asked = True
        for claim, policies in self._policies():
            self.differs = claim
            *others, last = policies
            if not any(_holds(policy, cert) for policy in others):
                last.verify(cert)
        self.differs = None

    def _policies(self) -> Iterator[tuple[str, list[Any]]]:
        from sigstore.verify import policy  # noqa: PLC0415  (as above)

        pinned = self.pipeline
        yield "issuer", [policy.OIDCIssuerV2(pinned.gitlab)]
        yield "project_path", [policy.OIDCSourceRepositoryURI(url) for url in reversed(pinned.projects)]
        yield "ref", [policy.OIDCSourceRepositoryRef(pinned.ref)]
        if pinned.sha is not None:
            yield "sha", [policy.OIDCSourceRepositoryDigest(pinned.sha)]


def _holds(policy: Any, cert: "Certificate") -> bool:
    from sigstore.errors import VerificationError  # noqa: PLC0415  (as above)

    try:
        policy.verify(cert)
    except VerificationError:
        return False
    return True


def _refused(claims: _Claims, error: Exception) -> Refused:
    """Tell by how far the library came: certificate, claims, then log and signature."""
    said, name = _said(error), claims.pipeline.name
    if not claims.asked:
        return Refused(code=Refusal.UNTRUSTED_CERTIFICATE, message=f"the certificate is not believed: {said}")
    if claims.differs is not None:
        message = f"not signed by {name}: the certificate's {claims.differs} is another: {said}"
        return Refused(code=Refusal.OTHER_IDENTITY, message=message)
    if said.startswith("DSSE"):
        return Refused(code=Refusal.OTHER_BYTES, message=f"{name} signed other bytes: changed after they were signed")
    return Refused(code=Refusal.NOT_LOGGED, message=f"the transparency log does not vouch for it: {said}")


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenSigner:
    """Signs as the pipeline that an ID token is of.

    Attributes:
        identity: Subject of the token.
    """

    identity: str
    _token: "IdentityToken" = field(repr=False)
    _config: "ClientTrustConfig | None" = field(repr=False)

    @classmethod
    def of(cls, token: str, config: str | None) -> "TokenSigner":
        """Take an ID token.

        Args:
            token: As GitLab gave it to the job.
            config: File with a Sigstore client trust config; `None` for Sigstore's public instance.

        Raises:
            ConfigError: The extra is missing, the token is none for Sigstore or expired, or the file can not be read.
        """
        require_extra(TOKEN_VARIABLE)
        from sigstore.models import ClientTrustConfig  # noqa: PLC0415  (as above)
        from sigstore.oidc import IdentityToken  # noqa: PLC0415  (as above)

        try:
            read = IdentityToken(token)
        except Exception:  # noqa: BLE001  (its words could be the token's)
            message = f"{TOKEN_VARIABLE} is no ID token for Sigstore, or expired"
            raise ConfigError(message, hint=f"id_tokens: {{{TOKEN_VARIABLE}: {{aud: sigstore}}}}") from None
        try:
            instance = ClientTrustConfig.from_json(Path(config).read_text("utf-8")) if config else None
        except Exception as error:
            message = f"{CONFIG_VARIABLE}: {config} is no client trust config ({_said(error)})"
            raise ConfigError(message, hint="unset it for Sigstore's public instance") from error
        return cls(identity=read.identity, _token=read, _config=instance)

    def sign(self, statement: bytes) -> bytes:
        """Return the Sigstore bundle around an in-toto statement, once its own trust root believes it.

        Raises:
            MlgateError: Sigstore is unreachable, refuses, takes more than `SIGNING_LIMIT_S`, or the bundle is too large.
        """
        raw = _within(SIGNING_LIMIT_S, lambda: self._sign(statement))
        if len(raw) > MAX_BUNDLE_BYTES:
            raise MlgateError(f"the Sigstore bundle is {len(raw)} bytes > {MAX_BUNDLE_BYTES} that a gate reads")
        return raw

    def _sign(self, statement: bytes) -> bytes:
        from sigstore.dsse import Statement  # noqa: PLC0415  (as above)
        from sigstore.models import ClientTrustConfig  # noqa: PLC0415  (as above)
        from sigstore.sign import SigningContext  # noqa: PLC0415  (as above)
        from sigstore.verify import Verifier  # noqa: PLC0415  (as above)
        from sigstore.verify.policy import OIDCIssuerV2  # noqa: PLC0415  (as above)

        config = self._config or ClientTrustConfig.production()
        with SigningContext.from_trust_config(config).signer(self._token) as signer:
            bundle = signer.sign_dsse(Statement(statement))
        Verifier(trusted_root=config.trusted_root).verify_dsse(bundle, OIDCIssuerV2(self._token.issuer))
        return bundle.to_json().encode()


def _within(limit_s: float, work: Callable[[], bytes]) -> bytes:
    """Return what *work* returns; a thread that hangs longer than *limit_s* is left behind and ends with the process."""
    done: queue.SimpleQueue[bytes | Exception] = queue.SimpleQueue()

    def run() -> None:
        try:
            done.put(work())
        except Exception as error:  # noqa: BLE001  (said below, by the thread that waits)
            done.put(error)

    threading.Thread(target=run, daemon=True, name="mlgate-sigstore").start()
    hint = "the run's files are kept, unsigned; run again, or sign with MLGATE_SIGNING_KEY"
    try:
        found = done.get(timeout=limit_s)
    except queue.Empty:
        raise MlgateError(f"Sigstore did not sign within {limit_s:g} s", hint=hint) from None
    if isinstance(found, Exception):
        raise MlgateError(f"Sigstore did not sign: {_said(found)}", hint=hint) from found
    return found


def _said(error: BaseException) -> str:
    """Return an error's words, else those of what it came from: the library's own are empty where a server refused."""
    cause = error.__cause__ or error.__context__
    own = one_line(str(error)) or type(error).__name__
    return (
        f"{own[:_SHOWN]}: {one_line(str(cause))[:_SHOWN]}"
        if cause is not None and str(cause) not in own
        else own[:_SHOWN]
    )
