"""Several contenders, stopped before each call to the registry and continued in any order, crashed, and put to sleep."""

import threading

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from mlgate.errors import LockedError, RegistryError
from mlgate.locking.registry_lock import RegistryLock
from mlgate.registry.memory import MemoryRegistry
from mlgate.registry.memory_markers import MemoryMarkers

EXPIRY_S = 60.0
STOP_S = 30.0


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
        self.held, self.until = None, 0.0

    @property
    def busy(self):
        return self._thread is not None

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


class Interleavings(RuleBasedStateMachine):
    """Never two holders whose check passes; and who got the lock keeps it until the time it was told."""

    contenders = Bundle("contenders")

    def __init__(self):
        super().__init__()
        self.now = 1_900_000_000.0
        self.markers = MemoryMarkers(clock=lambda: self.now)
        self.alive = []

    @rule(target=contenders)
    def enter(self):
        contender = Contender(self, self.markers)
        self.alive.append(contender)
        self._acquire(contender)
        return contender

    def _acquire(self, contender):
        began = self.now

        def work():
            contender.held = contender.lock.acquire("churn", holder="somebody", expiry_s=EXPIRY_S)
            contender.until = contender.held.deadline
            assert contender.until >= began

        contender.start(work)

    @rule(contender=contenders)
    def again(self, contender):
        if not contender.busy and contender.held is None:
            self._acquire(contender)

    @rule(contender=contenders, steps=st.integers(1, 8))
    def go_on(self, contender, steps):
        for _ in range(steps):
            if contender.busy:
                contender.go_on()

    @rule(contender=contenders, fault=st.sampled_from(["unreachable", "no answer", "sent again"]))
    def fault(self, contender, fault):
        if contender.busy:
            contender.go_on(fault)

    @rule(contender=contenders)
    def release(self, contender):
        if not contender.busy and contender.held is not None:
            contender.start(contender.held.release)
            contender.held = None

    @rule(contender=consumes(contenders))
    def crash(self, contender):
        self.alive.remove(contender)
        contender.crash()

    @rule(seconds=st.sampled_from([1.0, 6.0, 54.0, 59.0, 60.0, 61.0]))
    def time_passes(self, seconds):
        self.now += seconds

    @invariant()
    def at_most_one_passes_and_no_living_holder_is_displaced(self):
        passing = []
        for contender in self.alive:
            if contender.held is None:
                continue
            try:
                contender.held.check()
            except LockedError:
                assert self.now >= contender.until, "the lock was lost before its time"
            else:
                assert self.now < contender.until
                passing.append(contender)
        assert len(passing) <= 1

    def teardown(self):
        for contender in self.alive:
            contender.crash()
        self.now += EXPIRY_S + 1
        # A killed holder blocks nobody longer than this, and what it left is bounded.
        last = Contender(self, self.markers)
        held = RegistryLock(last.registry, clock=lambda: self.now).acquire("churn", holder="last", expiry_s=EXPIRY_S)
        held.check()
        left = {marker.name for marker in self.markers.matching("mlgate-lock-")}
        assert left <= {"mlgate-lock-churn", held.marker}
        held.release()
        last.lock.acquire("churn", holder="right after", expiry_s=EXPIRY_S).check()


TestInterleavings = Interleavings.TestCase
TestInterleavings.settings = settings(max_examples=300, stateful_step_count=40)
