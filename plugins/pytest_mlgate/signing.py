"""Signing at the end of a run, with a key or an ID token that is read once, before anything starts."""

from collections.abc import MutableMapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlgate.errors import MlgateError
from mlgate.evidence import Evidence

if TYPE_CHECKING:
    from mlgate.attest.keyless import TokenSigner
    from mlgate.attest.keys import SigningKey

KEY_VARIABLE = "MLGATE_SIGNING_KEY"
PASSPHRASE_VARIABLE = "MLGATE_KEY_PASSPHRASE"  # noqa: S105  (its name, not what it holds)
TOKEN_VARIABLE = "MLGATE_SIGSTORE_ID_TOKEN"  # noqa: S105  (as above)
CONFIG_VARIABLE = "MLGATE_SIGSTORE_CONFIG"
_SHOWN = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """What became of one run's evidence.

    Attributes:
        envelope: The signed statement, a DSSE envelope or a Sigstore bundle; `None` where nothing is signed.
        words: Who signed, as a run itself can say it: a key has a name only in a policy. `None` as above.
        problem: Why evidence that had to be signed can not be: no gate would take it.
    """

    envelope: bytes | None = None
    words: str | None = None
    problem: MlgateError | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSigner:
    """What signs a run's evidence.

    Attributes:
        key: `None` where nobody gave one, or it is withheld.
        token: Signs through Sigstore where there is no key; `None` as above.
        withheld: Whether one was given and is not used: beside a model that runs as the same user.
    """

    key: "SigningKey | None" = None
    token: "TokenSigner | None" = None
    withheld: bool = False

    @classmethod
    def take(cls, environment: MutableMapping[str, str], *, sandbox: str) -> "RunSigner":
        """Take key and token out of *environment*, so that no child of this process gets it.

        Args:
            environment: This process's own; `MLGATE_SIGNING_KEY`, `MLGATE_KEY_PASSPHRASE` and
                `MLGATE_SIGSTORE_ID_TOKEN` are gone afterwards.
            sandbox: In `process` nothing is signed.

        Raises:
            ConfigError: A key, or a token and no key, was given and can not be used.
        """
        names = (KEY_VARIABLE, PASSPHRASE_VARIABLE, TOKEN_VARIABLE)
        taken = {name: environment.pop(name) for name in names if name in environment}
        key, token = (taken.get(name, "").strip() for name in (KEY_VARIABLE, TOKEN_VARIABLE))
        if not key and not token:
            return cls()
        if sandbox == "process":
            return cls(withheld=True)
        if not key:
            from mlgate.attest.keyless import TokenSigner  # noqa: PLC0415  (needs an extra)

            return cls(token=TokenSigner.of(token, environment.get(CONFIG_VARIABLE)))
        from mlgate.attest.key_files import load_signing_key  # noqa: PLC0415  (a run without a key needs no cryptography)

        return cls(key=load_signing_key(taken))

    def sign(self, evidence: Evidence) -> Signed:
        """Sign the statement about *evidence*, where there is a key or a token."""
        if self.key is None and self.token is None:
            return Signed()
        from mlgate.attest.dsse import sign  # noqa: PLC0415  (as above)
        from mlgate.attest.statement import statement_of  # noqa: PLC0415

        try:
            if self.key is not None:
                envelope = sign(statement_of(evidence), [self.key])
                return Signed(envelope=envelope, words=f"signed (keyid {self.key.public.keyid[:_SHOWN]}…)")
            if self.token is not None:
                envelope = self.token.sign(statement_of(evidence))
                return Signed(envelope=envelope, words=f"signed (Sigstore: {self.token.identity})")
        except MlgateError as error:
            return Signed(problem=error)
        return Signed()
