"""A lock as `promote` and `rollback` need it, whatever keeps it. Pure."""

import math
from typing import Protocol

# A move takes a second or two; a killed one may stand in the way of a rollback for this long.
EXPIRY_S = 60.0
# What a lock says of itself is believed up to here: nobody is blocked for a day by a slip.
MAX_EXPIRY_S = 3600.0


class Held(Protocol):
    """A lock that was got. It ends by `release`, or by its expiry."""

    def check(self) -> None:
        """Make sure that the lock is still ours: right before a write, and right after it.

        Passed before and failed after, the write was made and somebody else may have written too: say so.

        Raises:
            LockedError: Its time is over, it was released, or somebody else has it.
            RegistryError: Who keeps the lock does not answer.
        """

    def release(self) -> None:
        """Let the next one in. Never raises: a lock that can not be given back ends by its expiry."""


class Lock(Protocol):
    """What keeps the locks of all models of a registry.

    A Kubernetes Lease fits here: its holder is `spec.holderIdentity`, its epoch `spec.leaseTransitions`, and an update
    with the `resourceVersion` that was read is taken once only.
    """

    def acquire(self, name: str, *, holder: str, expiry_s: float = EXPIRY_S) -> Held:
        """Get the lock of a registered model at once, or not at all: nobody waits in line.

        Args:
            name: The registered model.
            holder: Who wants it, for whoever finds it locked.
            expiry_s: Longest that a holder who vanished blocks the others, in seconds; above 0, at most `MAX_EXPIRY_S`.

        Raises:
            LockedError: Somebody has it; the message says who, since when and until when.
            RegistryError: Who keeps the lock does not answer, or does not let us.
        """


def checked_expiry(expiry_s: float) -> float:
    """Return *expiry_s*.

    Raises:
        ValueError: It is not above 0, or above `MAX_EXPIRY_S`.
    """
    if not (math.isfinite(expiry_s) and 0 < expiry_s <= MAX_EXPIRY_S):
        raise ValueError(f"a lock's expiry is above 0 s and at most {MAX_EXPIRY_S:.0f} s, not {expiry_s}")
    return expiry_s
