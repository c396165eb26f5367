"""Several contenders, stopped before each call to the registry and continued in any order, crashed, and put to sleep."""

import threading

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from mlgate.errors import LockedError, RegistryError
from mlgate.locking.registry_lock import RegistryLock
from mlgate.registry.memory import MemoryRegistry
from mlgate.registry.memory_markers import MemoryMarkers

EXPIRY_S = 60.0
STOP_S = 30.0
CONTENDERS = 4


class CrashedError(BaseException):
    """SIGKILL, as near as a thread comes to it: no later call has an effect."""


class Contender:
    """A process with a thread that stands still before each call to the registry until it is told to go on."""

    def __init__(self, machine, markers):
        self._markers = markers
        self._go, self._still = threading.Semaphore(0), threading.Semaphore(0)
        self._fault = "none"
        self._thread = None
        self.registry = MemoryRegistry()
        self.registry.markers = self
        self.lock = RegistryLock(self.registry, clock=lambda: machine.now)
        self.held = None

    @property
    def busy(self):
        return self._thread is not None

    def acquire(self):
        self.held = self.lock.acquire("churn", holder="somebody", expiry_s=EXPIRY_S)

    def start(self, work):
        def run():
            try:
                work()
            except (LockedError, RegistryError, CrashedError):
                pass
            finally:
                self._thread = None
                self._still.release()

        self._thread = threading.Thread(target=run, daemon=True)
        self._thread.start()
        assert self._still.acquire(timeout=STOP_S)

    def go_on(self, fault="none"):
        self._fault = fault
        self._go.release()
        assert self._still.acquire(timeout=STOP_S)

    def crash(self):
        while self.busy:
            self.go_on("crash")

    def __getattr__(self, name):
        """Pass a call on to the markers; from the contender's own thread one at a time, with its fault."""
        call = getattr(self._markers, name)

        def stepped(*arguments):
            if threading.current_thread() is not self._thread:
                return call(*arguments)
            self._still.release()
            assert self._go.acquire(timeout=STOP_S)
            if self._fault == "crash":
                raise CrashedError
            if self._fault == "unreachable":
                raise RegistryError("no connection")
            answer = call(*arguments)
            if self._fault == "no answer":
                raise RegistryError("no answer")
            # The client sends it again, and hears that its own marker is in the way.
            return None if self._fault == "sent again" and name == "create" else answer

        return stepped


# What may happen next, and to which of the contenders; going on is what happens most.
FAULTS = ["unreachable", "no answer", "sent again"]
ACTIONS = st.sampled_from(["go on"] * 14 + ["release"] * 3 + FAULTS + ["crash"])
SECONDS = st.sampled_from([1.0, 6.0, 54.0, 60.0, 61.0])


class Interleavings(RuleBasedStateMachine):
    """Never two holders whose check passes; and who got the lock keeps it until the time it was told."""

    def __init__(self):
        super().__init__()
        self.now = 1_900_000_000.0
        self.markers = MemoryMarkers(clock=lambda: self.now)
        self.contenders = [Contender(self, self.markers) for _ in range(CONTENDERS)]

    @rule(moves=st.lists(st.tuples(st.integers(0, CONTENDERS - 1), ACTIONS), min_size=1, max_size=20))
    def some_of_them_move(self, moves):
        for number, action in moves:
            self._move(number, action)
            self.at_most_one_passes_and_no_living_holder_is_displaced()

    @rule(seconds=SECONDS)
    def time_passes(self, seconds):
        self.now += seconds

    def _move(self, number, action):
        contender = self.contenders[number]
        if action == "crash":
            contender.crash()
            self.contenders[number] = Contender(self, self.markers)
        elif contender.busy:
            contender.go_on(action if action in FAULTS else "none")
        elif contender.held is None:
            contender.start(contender.acquire)
        elif action == "release":
            held, contender.held = contender.held, None
            contender.start(held.release)

    @invariant()
    def at_most_one_passes_and_no_living_holder_is_displaced(self):
        passing = 0
        for contender in self.contenders:
            if contender.held is None:
                continue
            try:
                contender.held.check()
            except LockedError:
                assert self.now >= contender.held.deadline, "the lock was lost before its time"
            else:
                passing += 1
        assert passing <= 1

    def teardown(self):
        for contender in self.contenders:
            contender.crash()
        self.now += EXPIRY_S + 1
        # A killed holder blocks nobody longer than this, and what it left is bounded.
        last = Contender(self, self.markers)
        last.acquire()
        left = {marker.name for marker in self.markers.matching("mlgate-lock-")}
        assert left <= {"mlgate-lock-churn", last.held.marker}
        last.held.check()
        last.held.release()
        last.acquire()
        last.held.check()


TestInterleavings = Interleavings.TestCase
TestInterleavings.settings = settings(max_examples=150, stateful_step_count=15)
