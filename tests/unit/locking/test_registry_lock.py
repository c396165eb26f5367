"""The lock in a registry's markers, over memory and a clock that only tests move."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from mlgate.errors import LockedError, RegistryError
from mlgate.locking.epochs import epochs, lock_name
from mlgate.locking.lock import lock_for
from mlgate.locking.registry_lock import RegistryLock
from mlgate.registry import tags
from mlgate.registry.memory import MemoryRegistry
from mlgate.registry.memory_markers import MemoryMarkers

NOON = 1_900_000_000.0


class World:
    """A registry, and the time in it; each machine has an elapsed clock with a start of its own."""

    def __init__(self):
        self.now = NOON
        self.registry = MemoryRegistry()
        self.registry.markers = MemoryMarkers(clock=lambda: self.now)

    def lock(self, offset=0.0):
        return RegistryLock(self.registry, clock=lambda: self.now - NOON + offset)

    def take(self, holder="ann", name="churn", *, expiry_s=60.0, offset=0.0):
        return self.lock(offset).acquire(name, holder=holder, expiry_s=expiry_s)

    @property
    def names(self):
        return sorted(marker.name for marker in self.registry.markers.matching("mlgate-lock-"))


@pytest.fixture
def world():
    return World()


def test_one_holds_it_and_the_others_are_told_who(world):
    """Since when, until when, and where that can be looked at."""
    held = world.take("ann@laptop")
    world.now += 10
    with pytest.raises(LockedError) as caught:
        world.take("bob")
    assert caught.value.exit_code == 6
    assert str(caught.value) == (
        "churn: locked by ann@laptop since 2030-03-17T17:46:40Z, until 2030-03-17T17:47:40Z at the latest"
        " (mlgate-lock-churn in memory:). Hint: try again then"
    )
    held.check()


def test_released_it_is_free_at_once(world):
    """And whoever released it holds it no more."""
    held = world.take("ann")
    held.release()
    with pytest.raises(LockedError, match="given the lock back"):
        held.check()
    world.take("bob").check()
    held.release()
    with pytest.raises(LockedError, match="bob"):
        world.take("cid")


def test_a_dead_holder_blocks_until_its_expiry_and_no_longer(world):
    """By the registry's clock."""
    world.take("ann", expiry_s=60)
    world.now += 59.9
    with pytest.raises(LockedError, match="ann"):
        world.take("bob")
    world.now += 0.1
    world.take("bob").check()


def test_the_holder_stops_before_anybody_may_take_over(world):
    """A tenth earlier: replicas may stamp with clocks that differ."""
    held = world.take("ann", expiry_s=60)
    world.now += 53.9
    held.check()
    world.now += 0.2
    with pytest.raises(LockedError, match="took longer"):
        held.check()


@pytest.mark.parametrize("offset", [-1e9, -3600.0, 3600.0, 1e9])
def test_no_machines_own_clock_is_compared_with_anothers(world, offset):
    """Whatever a contender's own clock says, the registry's decides."""
    world.take("ann", expiry_s=60)
    world.now += 59
    with pytest.raises(LockedError):
        world.take("bob", offset=offset)
    world.now += 1
    world.take("bob", offset=offset).check()


def test_a_sleeper_that_wakes_up_finds_it_taken(world):
    """Even where its own clock stood still, as in a machine that was stopped."""
    held = RegistryLock(world.registry, clock=lambda: 0.0).acquire("churn", holder="ann", expiry_s=60)
    world.now += 61
    held.check()
    taken = world.take("bob")
    with pytest.raises(LockedError, match="locked by bob"):
        held.check()
    held.release()
    taken.check()
    with pytest.raises(LockedError, match="bob"):
        world.take("cid")


def test_the_lock_of_one_model_is_not_that_of_another(world):
    """However alike the names are."""
    names = [
        "churn",
        "churn~2",
        "churn.2",
        "churn-eu",
        "churn eu",
        "churn_eu",
        "churn'eu",
        'churn"eu',
        "chürn",
        "c" * 256,
    ]
    held = [world.take(name=name) for name in names]
    for one in held:
        one.check()
    assert len({lock_name(name) for name in names}) == len(names)
    assert all(len(name) < 256 for name in world.names)


def test_two_markers_a_model_are_left(world):
    """Whatever happened to fifty holders."""
    for number in range(50):
        held = world.take(f"holder {number}")
        if number % 3:
            held.release()
        else:
            world.now += 61
            with pytest.raises(LockedError):
                held.check()
    assert world.names == ["mlgate-lock-churn", "mlgate-lock-churn~50"]


def test_a_question_for_the_time_that_was_killed_is_swept(world):
    """By whoever gets the lock a minute later."""
    world.registry.markers.create("mlgate-lock-churn~clock-00", {})
    world.take().release()
    assert "mlgate-lock-churn~clock-00" in world.names
    world.now += 61
    world.take().release()
    assert "mlgate-lock-churn~clock-00" not in world.names


def test_a_loser_leaves_nothing(world):
    """No marker, and no tag on the winner's."""
    world.take("ann")
    before = world.registry.markers.matching("mlgate-lock-")
    for _ in range(3):
        with pytest.raises(LockedError):
            world.take("bob")
    assert world.registry.markers.matching("mlgate-lock-") == before


class Interrupting(MemoryMarkers):
    """Markers that do something before or after a call with a given number."""

    def __init__(self, world, at, act, *, lose=False):
        super().__init__(clock=lambda: world.now)
        self._markers = world.registry.markers._markers
        self._left, self._act, self._lose = at, act, lose

    def create(self, name, tags, text=""):
        self._left -= 1
        if self._left == 0 and not self._lose:
            self._act()
        made = super().create(name, tags, text)
        if self._left == 0 and self._lose:
            self._act()
            return None
        return made


def test_a_contender_that_sleeps_before_it_creates_gets_nothing(world):
    """Others came and went meanwhile, so that its number is free again and means nothing."""
    calm = world.registry.markers

    def others():
        world.registry.markers = calm
        for name in ("bob", "cid", "dan"):
            world.take(name).release()

    world.take("ann").release()
    world.registry.markers = Interrupting(world, 1, others)
    with pytest.raises(LockedError, match=r"dan.*given back since"):
        world.take("eve")
    world.registry.markers = calm
    held = world.take("fay")
    held.check()
    assert world.names == ["mlgate-lock-churn", "mlgate-lock-churn~5"]


def test_a_lost_answer_does_not_lock_the_winner_out(world):
    """The request is sent again, and is told that the name is taken: by itself."""
    world.registry.markers = Interrupting(world, 1, lambda: None, lose=True)
    world.take("ann").check()


class Failing(Interrupting):
    """Markers whose creation fails, before it took effect or after."""

    def create(self, name, tags, text=""):
        made = super().create(name, tags, text)
        if self._left == 0:
            raise RegistryError("timed out")
        return made


def test_a_creation_that_fails_after_it_took_effect_gets_the_lock(world):
    """The answer was lost: what counts is what is there."""
    calm, world.registry.markers = world.registry.markers, Failing(world, 1, lambda: None, lose=True)
    held = world.take("ann")
    world.registry.markers = calm
    held.check()


def test_a_creation_that_fails_while_another_gets_the_lock_is_told_who_has_it(world):
    """A server that many ask at once fails those who come second: that is no broken server."""
    calm = world.registry.markers

    class Crowded(MemoryMarkers):
        def create(self, name, tags, text=""):
            world.registry.markers = calm
            world.take("bob").check()
            raise RegistryError("timed out")

    world.registry.markers = Crowded(clock=lambda: world.now)
    world.registry.markers._markers = calm._markers
    with pytest.raises(LockedError, match="locked by bob"):
        world.take("ann")


def test_a_creation_that_fails_and_leaves_the_lock_free_is_the_servers_error(world):
    """Nobody has it, so nobody is to blame but the server."""
    calm = world.registry.markers

    class Broken(MemoryMarkers):
        def create(self, name, tags, text=""):
            raise RegistryError("timed out")

    world.registry.markers = Broken(clock=lambda: world.now)
    world.registry.markers._markers = calm._markers
    with pytest.raises(RegistryError, match="timed out"):
        world.take("ann")


def test_the_holders_time_begins_before_it_asks(world):
    """An answer that takes long is part of it: the registry's stamp is from before the answer."""

    class Slow(MemoryMarkers):
        def create(self, name, tags, text=""):
            made = super().create(name, tags, text)
            world.now += 50
            return made

    world.registry.markers = Slow(clock=lambda: world.now)
    held = world.take("ann", expiry_s=60)
    world.now += 3
    held.check()
    world.now += 2
    with pytest.raises(LockedError, match="took longer"):
        held.check()


def test_whoever_can_not_create_gives_back_nothing_of_anothers(world):
    """The number that it wanted was taken and given back meanwhile."""
    calm = world.registry.markers

    def another_and_then_nothing():
        world.registry.markers = calm
        world.take("bob").release()
        raise RegistryError("no answer")

    world.registry.markers = Interrupting(world, 1, another_and_then_nothing)
    with pytest.raises(RegistryError, match="no answer"):
        world.take("ann")
    world.registry.markers = calm
    world.take("cid").check()


def test_a_winner_whose_registry_dies_gives_back_what_it_can(world):
    """Nobody waits for the expiry of a lock that nobody was told of."""
    calm = world.registry.markers

    class Failing(Interrupting):
        def matching(self, prefix):
            if self._left == 0:
                self._left = -1
                raise RegistryError("no answer")
            return super().matching(prefix)

    world.registry.markers = Failing(world, 1, lambda: None)
    with pytest.raises(RegistryError, match="no answer"):
        world.take("ann")
    world.registry.markers = calm
    world.take("bob").check()


def test_markers_that_may_not_be_read_are_no_free_lock(world):
    """On a server that shows each user only what is granted, an empty list says nothing."""
    calm = world.registry.markers

    class Blind(MemoryMarkers):
        def matching(self, prefix):
            return ()

        def find(self, name):
            return None

    for _ in range(2):
        world.take("ann").release()
    world.take("ann")
    blind = Blind(clock=lambda: world.now)
    blind._markers = calm._markers
    world.registry.markers = blind
    with pytest.raises(RegistryError, match="can not be read"):
        world.take("bob")


@pytest.mark.parametrize("said", ["", "nan", "inf", "-1", "1e99", "soon"])
def test_a_marker_that_says_nonsense_blocks_an_hour_and_no_longer(world, said):
    """Anybody may write one."""
    world.registry.markers.create("mlgate-lock-churn", {tags.LOCK_EXPIRY_S: said})
    world.now += 3599
    with pytest.raises(LockedError, match="somebody who left no name"):
        world.take("bob")
    world.now += 1
    world.take("bob").check()


def test_names_that_only_look_like_epochs_are_none(world):
    """No number, a number with zeros before it, one that is too long."""
    names = ["churn~x", "churn~07", "churn~1", "churn~-1", "churn~" + "9" * 19, "churn~clock-1", "churn-eu", "churn~²"]
    made = [world.registry.markers.create(f"mlgate-lock-{name}", {}) for name in names]
    assert epochs("churn", made) == []


@pytest.mark.parametrize("expiry_s", [0, -1, 3601, float("nan"), float("inf")])
def test_an_expiry_is_bounded(world, expiry_s):
    """Before anything is written."""
    with pytest.raises(ValueError, match="at most 3600 s"):
        world.take(expiry_s=expiry_s)
    assert world.names == []


def test_markers_deleted_by_hand_are_noticed(world):
    """Nobody holds what is not there."""
    held = world.take()
    world.registry.markers.delete("mlgate-lock-churn")
    with pytest.raises(LockedError, match="deleted"):
        held.check()


def test_a_release_by_another_token_releases_nothing(world):
    """A late word of an earlier holder."""
    world.take("ann")
    world.registry.markers.set_tag("mlgate-lock-churn", tags.LOCK_RELEASED, "another")
    with pytest.raises(LockedError, match="ann"):
        world.take("bob")


def test_of_fifty_threads_one_gets_it_each_round():
    """Twenty rounds, no rest between them."""
    registry = MemoryRegistry()
    for _ in range(20):
        barrier, done = threading.Barrier(50), threading.Barrier(50)

        def contend(number, barrier=barrier, done=done):
            barrier.wait(30)
            try:
                with lock_for(registry, "churn", holder=str(number)) as held:
                    held.check()
                    done.wait(30)
                    held.check()
                    return True
            except LockedError:
                done.wait(30)
                return False

        with ThreadPoolExecutor(50) as pool:
            assert sum(pool.map(contend, range(50))) == 1


def test_the_lock_ends_with_its_block(world):
    """Also with an error in it."""
    with pytest.raises(ZeroDivisionError), lock_for(world.registry, "churn") as held:
        raise ZeroDivisionError
    with pytest.raises(LockedError):
        held.check()
    with lock_for(world.registry, "churn", lock=world.lock()) as held:
        held.check()


def test_epochs_are_told_by_number_and_not_by_text(world):
    """The tenth comes after the ninth."""
    for _ in range(12):
        world.take().release()
    found = epochs("churn", world.registry.markers.matching("mlgate-lock-churn"))
    assert [epoch.number for epoch in found] == [1, 12]
