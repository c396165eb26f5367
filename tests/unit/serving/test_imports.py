"""What imports cost: charged to the right package, and an error reads as if nobody counted."""

import importlib
import sys
import threading
import traceback

import pytest

from mlgate.serving.imports import ImportClock


@pytest.fixture
def clock():
    """A clock that runs, and is stopped whatever comes of the test."""
    clock = ImportClock()
    clock.start()
    yield clock
    clock.stop()


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Write modules that can be imported: `module(name=source)`; they are forgotten at the end."""
    monkeypatch.syspath_prepend(str(tmp_path))
    made = []

    def write(**sources):
        for name, source in sources.items():
            (tmp_path / f"{name}.py").write_text(source)
            made.append(name)
        importlib.invalidate_caches()

    yield write
    for name in made:
        sys.modules.pop(name, None)


SLOW = "import time\ntime.sleep(0.02)\n"


def test_time_is_charged_to_who_spends_it_below_who_was_asked_for(clock, module):
    """The outermost package has what it drags in, each under its own name."""
    module(probe_a=f"import probe_b\n{SLOW}import probe_c\n", probe_b=SLOW, probe_c=f"import probe_b\n{SLOW}")
    importlib.import_module("probe_a")
    taken = clock.take()
    taken.pop("python", None)  # pytest's own, of the standard library, where the machine is slow
    assert set(taken) == {"probe_a"}
    assert set(taken["probe_a"]) == {"probe_a", "probe_b", "probe_c"}
    assert all(seconds >= 0.02 for seconds in taken["probe_a"].values())
    assert "probe_a" not in clock.take()


def test_the_standard_library_belongs_to_who_imports_it(clock, module):
    """Nobody can do without it by leaving out a package of its name."""
    module(probe_d=f"import this_is_none\n{SLOW}", this_is_none="import colorsys\n")
    importlib.import_module("probe_d")
    assert "colorsys" not in clock.take()["probe_d"]


@pytest.mark.parametrize("source", ["raise ValueError('no')", "import a_package_that_is_nowhere"])
def test_an_import_that_fails_reads_as_it_does_without_us(module, source):
    """The traceback of a model that can not be loaded is the model's."""
    module(probe_e="import probe_f\n", probe_f=source)

    def attempt():
        try:
            exec("import probe_e")  # the statement: for `import_module`, Python drops no frames at all
        except (ValueError, ImportError) as error:
            return [line for line in traceback.format_exception(error) if "attempt" not in line]
        raise AssertionError("it did import")

    plain = attempt()
    clock = ImportClock()
    clock.start()
    try:
        counted = attempt()
    finally:
        clock.stop()
    assert counted == plain


def test_imports_of_other_threads_are_not_mixed_in(clock, module):
    """They would be charged to whatever the first thread imports just then."""
    module(probe_g=SLOW)
    thread = threading.Thread(target=importlib.import_module, args=("probe_g",))
    thread.start()
    thread.join()
    assert "probe_g" in sys.modules
    assert "probe_g" not in clock.take()


def test_an_interpreter_with_another_import_system_is_left_alone(monkeypatch):
    """Nothing is counted, and nothing breaks."""
    monkeypatch.delitem(sys.modules, "_frozen_importlib")
    clock = ImportClock()
    clock.start()
    clock.stop()
    assert clock.take() == {}
