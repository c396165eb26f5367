"""Signing at the end of a run, with a key that is read once, before anything starts."""

from collections.abc import MutableMapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlgate.errors import EvidenceError
from mlgate.evidence import Evidence

if TYPE_CHECKING:
    from mlgate.attest.keys import SigningKey

KEY_VARIABLE = "MLGATE_SIGNING_KEY"
PASSPHRASE_VARIABLE = "MLGATE_KEY_PASSPHRASE"  # noqa: S105  (its name, not what it holds)
_SHOWN = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """What became of one run's evidence.

    Attributes:
        envelope: The signed statement; `None` where nothing is signed.
        words: Who signed, as a run itself can say it: a key has a name only in a policy. `None` as above.
        problem: Why evidence that had to be signed can not be: no gate would take it.
    """

    envelope: bytes | None = None
    words: str | None = None
    problem: EvidenceError | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSigner:
    """What signs a run's evidence.

    Attributes:
        key: `None` where nobody gave one, or it is withheld.
        withheld: Whether one was given and is not used: beside a model that runs as the same user.
    """

    key: "SigningKey | None" = None
    withheld: bool = False

    @classmethod
    def take(cls, environment: MutableMapping[str, str], *, sandbox: str) -> "RunSigner":
        """Take the key out of *environment*, so that no child of this process gets it.

        Args:
            environment: This process's own; `MLGATE_SIGNING_KEY` and `MLGATE_KEY_PASSPHRASE` are gone afterwards.
            sandbox: In `process` nothing is signed.

        Raises:
            KeyMaterialError: A key was given and can not be used.
        """
        names = (KEY_VARIABLE, PASSPHRASE_VARIABLE)
        taken = {name: environment.pop(name) for name in names if name in environment}
        if not taken.get(KEY_VARIABLE, "").strip():
            return cls()
        if sandbox == "process":
            return cls(withheld=True)
        from mlgate.attest.key_files import load_signing_key  # noqa: PLC0415  (a run without a key needs no cryptography)

        return cls(key=load_signing_key(taken))

    def sign(self, evidence: Evidence) -> Signed:
        """Sign the statement about *evidence*, where there is a key."""
        if self.key is None:
            return Signed()
        from mlgate.attest.dsse import sign  # noqa: PLC0415  (as above)
        from mlgate.attest.statement import statement_of  # noqa: PLC0415

        try:
            envelope = sign(statement_of(evidence), [self.key])
        except EvidenceError as error:
            return Signed(problem=error)
        return Signed(envelope=envelope, words=f"signed (keyid {self.key.public.keyid[:_SHOWN]}…)")
