"""A lock kept by the registry itself, for everybody who uses it.

MLflow has no compare-and-set: the one thing of which exactly one of many succeeds is the creation of a registered
model. So a lock is a row of markers, its *epochs*, of which the highest counts:

* **Who gets it.** The highest epoch is n, and was released or is over: whoever creates n + 1 holds the lock. Of several who
  saw the same n, one does.
* **The highest epoch is never deleted**, also not on release, which tags it. So the highest number only grows, a name
  that is deleted never means anything again, and whatever a sleeper does late (create, tag, delete) is below the highest
  and changes nothing. Only the holder of n deletes, and only what is below n.
* **What a holder knows.** `check` reads the markers once: the highest is ours, or the lock is lost. In that moment nobody
  else's `check` can pass.
* **Time.** An epoch is over when the registry's clock has passed its creation, as the registry stamped it, by its expiry;
  what time it is there a contender learns from a marker of its own, created and deleted. The holder counts from before it
  asked, on its own clock, and stops a tenth earlier: so nobody's clock is compared with anybody's, and only where several
  replicas (or a database's users, without a server) stamp, those may differ by that tenth.
* **What is left.** Epoch 1 stays: who may not read others' models would else find no lock at all, and now finds a name that
  is taken. So at rest there are two markers a model, and one more for each crash until the next one gets the lock.
"""

import secrets
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from mlgate.errors import LockedError, MlgateError, RegistryError
from mlgate.locking.epochs import (
    Epoch,
    clock_name,
    epochs,
    first_name,
    is_clock,
    later_prefix,
    marker_name,
    marker_tags,
)
from mlgate.locking.interface import EXPIRY_S, checked_expiry
from mlgate.locking.passing import at, elapsed_clock
from mlgate.registry import tags as keys
from mlgate.registry.interface import ModelRegistry
from mlgate.registry.markers import Marker

# Of the expiry: by so much clocks that stamp markers may differ.
CLOCK_BOUND = 0.1
# Nobody needs this long to ask for the time: whoever created the marker is dead.
_CLOCK_LEFT_S = 60.0
_TEXT = "Not a model: mlgate's lock of a registered model. See docs/promotion.md of mlgate."


class RegistryLock:
    """Locks as markers in a registry.

    Args:
        registry: Who keeps them.
        clock: Seconds as they pass on this machine.
    """

    def __init__(self, registry: ModelRegistry, *, clock: Callable[[], float] = elapsed_clock) -> None:
        self._registry = registry
        self._markers = registry.markers
        self._clock = clock

    def acquire(self, name: str, *, holder: str, expiry_s: float = EXPIRY_S) -> "HeldEpoch":
        """Create the next epoch, where the highest one is free."""
        token = secrets.token_hex(16)
        tags = marker_tags(token=token, holder=holder, expiry_s=checked_expiry(expiry_s))
        top = _highest(name, self._look(name))
        if top is not None and not top.released and self._now(name) < top.until:
            raise self._locked(name, top)
        held = HeldEpoch(
            self,
            name,
            token=token,
            marker=marker_name(name, top.number + 1 if top else 1),
            deadline=self._clock() + expiry_s * (1 - CLOCK_BOUND),
        )
        try:
            seen = self._enter(held, tags)
        except LockedError:
            raise  # what we may have created is below what counts, and the next holder sweeps it
        except BaseException:
            self._withdraw(held)
            raise
        self._sweep(name, seen)
        return held

    def _enter(self, held: "HeldEpoch", tags: Mapping[str, str]) -> Sequence[Marker]:
        """Create the marker of *held*; return the lock's markers, where it is the one that counts."""
        failed = None
        try:
            self._markers.create(held.marker, tags, _TEXT)
        except RegistryError as error:
            failed = error
        # Created or not: a lost answer says "taken" of what is ours, a server that many ask at once fails those who come
        # second, and a sleeper creates what counts no more.
        seen = self._look(held.name)
        top = _highest(held.name, seen)
        if failed is not None and (
            top is None or (top.token != held.token and (top.released or self._now(held.name) >= top.until))
        ):
            raise failed
        if top is None:
            raise RegistryError(
                f"{held.marker} in {self._registry.uri} is there and can not be read",
                hint="the registered models mlgate-lock-… must be readable for everybody who promotes",
            )
        if top.token != held.token:
            raise self._locked(held.name, top)
        return seen

    def _look(self, name: str) -> Sequence[Marker]:
        """Return the markers that decide, by one look; by the last one, while there is epoch 1 only."""
        later = self._markers.matching(later_prefix(name))
        if epochs(name, later):
            return later
        first = self._markers.find(first_name(name))
        # Between the two looks epoch 1 may have ended, and its successor begun.
        return later if first is None else (first, *self._markers.matching(later_prefix(name)))

    def _now(self, name: str) -> float:
        """Return what time it is where the markers get their stamps."""
        marker = clock_name(name, secrets.token_hex(8))
        made = self._markers.create(marker, {}, _TEXT) or self._markers.find(marker)
        with suppress(MlgateError):  # the next holder sweeps it
            self._markers.delete(marker)
        if made is None:
            raise RegistryError(f"{marker} in {self._registry.uri} is there and can not be read")
        return made.created_at

    def _locked(self, name: str, epoch: Epoch) -> LockedError:
        given_back = ", and given back since" if epoch.released else f", until {at(epoch.until)} at the latest"
        return LockedError(
            f"{name}: locked by {epoch.holder} since {at(epoch.created_at)}{given_back}"
            f" ({epoch.marker} in {self._registry.uri})",
            hint="try again then",
        )

    def _sweep(self, name: str, seen: Sequence[Marker]) -> None:
        """Delete what no longer counts. Somebody else's may refuse; its owner's next lock deletes it."""
        found = epochs(name, seen)
        now = found[-1].created_at
        old = [epoch.marker for epoch in found[:-1] if epoch.number != 1]
        old += [marker.name for marker in seen if is_clock(name, marker) and now - marker.created_at > _CLOCK_LEFT_S]
        for marker in old:
            with suppress(MlgateError):
                self._markers.delete(marker)

    def verify(self, held: "HeldEpoch") -> None:
        """Raise unless the highest epoch is that of *held*, and its time not over.

        Raises:
            LockedError: It is not.
        """
        top = _highest(held.name, self._look(held.name))
        if top is None:
            raise LockedError(
                f"{held.name}: the lock is gone: somebody deleted {held.marker} in {self._registry.uri}",
                hint="try again",
            )
        if top.token != held.token:
            raise self._locked(held.name, top)
        if self._clock() >= held.deadline:
            raise LockedError(
                f"{held.name}: this process took longer than the lock lasts, to {at(top.until)} less a tenth",
                hint="try again",
            )

    def _withdraw(self, held: "HeldEpoch") -> None:
        """Give back what may have been created; the marker of whoever was faster stays as it is."""
        with suppress(MlgateError):
            found = self._markers.find(held.marker)
            if found is not None and found.tags.get(keys.LOCK_TOKEN) == held.token:
                self.give_back(held)

    def give_back(self, held: "HeldEpoch") -> None:
        """Tag the epoch of *held* as released. Its name is another's only once a higher epoch counts."""
        with suppress(MlgateError):
            self._markers.set_tag(held.marker, keys.LOCK_RELEASED, held.token)


class HeldEpoch:
    """An epoch of ours.

    Attributes:
        name: The registered model.
        token: What tells it from everybody else's.
        marker: Name of its marker.
        deadline: Until when we may use it, on our own clock.
    """

    def __init__(self, lock: RegistryLock, name: str, *, token: str, marker: str, deadline: float) -> None:
        self._lock = lock
        self._released = False
        self.name = name
        self.token = token
        self.marker = marker
        self.deadline = deadline

    def check(self) -> None:
        """Read the markers: the highest epoch must be ours, and its time not over."""
        if self._released:
            raise LockedError(f"{self.name}: this process has given the lock back")
        self._lock.verify(self)

    def release(self) -> None:
        """Tag the epoch as released."""
        if not self._released:
            self._released = True
            self._lock.give_back(self)


def _highest(name: str, markers: Sequence[Marker]) -> Epoch | None:
    found = epochs(name, markers)
    return found[-1] if found else None
