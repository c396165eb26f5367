import subprocess
import sys
from dataclasses import dataclass, field

import pytest

from mlgate.errors import EngineError, InstallError
from mlgate.images.installation import _COMPILE, ISOLATED, Installation, NeedsBuild, giving_way, pins_of
from mlgate.images.recipe import recipe_for

CLASH = """error: No solution found when resolving dependencies
  cause: Because you require uvicorn>=0.23 and uvicorn==0.10.0, we can conclude that your requirements are unsatisfiable.
"""
OFFLINE = """error: Request failed after 3 retries in 4.4s
  cause: Failed to fetch: http://127.0.0.1:9/simple/six/
"""


@dataclass
class Machine:
    """Where uv would run: knows some Pythons, and refuses what the test says."""

    pythons: tuple[str, ...] = ("3.11.2", "3.11")
    git: bool = False
    refuses: dict[str, str] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    commands: list[list[str]] = field(default_factory=list)
    installed: list[str] = field(default_factory=list)
    compiled: tuple[int, str] = (0, "")

    @property
    def installs(self) -> list[list[str]]:
        return [command for command in self.commands if "install" in command]

    def write(self, name: str, text: str) -> None:
        self.files[name] = text

    def run(self, command: list[str]) -> tuple[int, str]:
        self.commands.append(list(command))
        if command[0] == "git":
            return (0, "git version 2") if self.git else (126, "no such file")
        if "venv" in command:
            asked = command[command.index("--python") + 1]
            return (0, "") if asked in self.pythons else (2, f"error: No interpreter found for Python {asked}")
        if command[0] == "readlink":
            return 0, "/usr/bin/python3.11\n"
        if command[0].endswith("python3.11"):
            return self.compiled
        for word, output in self.refuses.items():
            if word in self.files["requirements.txt"]:
                return 1, output
        self.installed.append(self.files["requirements.txt"])
        return 0, ""


def installation(machine, *requirements, python="3.11.8", builds=False, **options) -> Installation:
    recipe = recipe_for(
        requirements=["mlflow==3.17.2", *requirements],
        python_version=python,
        flavors=[],
        base_image=None,
        platform="linux/amd64",
        apt=None,
        server="mlflow",
        **options,
    )
    return Installation(
        recipe=recipe, binary="uv", venv="/venv", folder="/build", builds=builds, run=machine.run, write=machine.write
    )


def test_all_is_installed_at_once_where_that_is_possible():
    """The version's requirements and the server's are resolved together."""
    machine = Machine()
    installation(machine, "uvicorn==0.30.0").install()
    assert machine.installed == ["mlflow==3.17.2\nuvicorn==0.30.0\n"]
    assert {"uvicorn>=0.23", "a2wsgi>=1.10"} <= set(machine.installs[-1])


def test_a_pin_that_clashes_with_the_server_gives_way():
    """What serves is then compared with what was asked for, by the pins check."""
    machine = Machine(refuses={"uvicorn==0.10.0": CLASH})
    installation(machine, "uvicorn==0.10.0", "numpy==2.0.0").install()
    assert machine.installed == ["mlflow==3.17.2\nnumpy==2.0.0\n"]


def test_what_is_unsatisfiable_without_the_server_too_is_the_reason_that_is_given():
    """Not the clash, which came first."""
    other = CLASH.replace("uvicorn==0.10.0", "numpy==99.0")
    machine = Machine(refuses={"uvicorn==0.10.0": CLASH, "numpy==99.0": other})
    with pytest.raises(InstallError, match=r"numpy==99\.0"):
        installation(machine, "uvicorn==0.10.0", "numpy==99.0").install()


def test_nothing_gives_way_where_the_index_does_not_answer():
    """It was not asked in truth."""
    machine = Machine(refuses={"uvicorn": OFFLINE})
    with pytest.raises(EngineError):
        installation(machine, "uvicorn==0.30.0").install()
    assert machine.installed == []


def test_a_failure_without_a_clash_is_not_tried_again():
    """There is nothing that could give way."""
    machine = Machine(refuses={"numpy": CLASH})
    with pytest.raises(InstallError):
        installation(machine, "numpy==99.0").install()
    assert len(machine.installs) == 1


def test_only_what_the_server_needs_gives_way():
    """By its normal name, and for old MLflow also what that needs."""
    made = installation(Machine(), "Uvicorn==0.1", "prometheus_client==0.1", "starlette==1", "numpy==1")
    assert giving_way(made.recipe) == ("mlflow==3.17.2", "starlette==1", "numpy==1")


def test_the_patch_is_taken_where_it_is_and_else_the_minor():
    """Any patch of another minor would be another Python."""
    machine = Machine()
    assert installation(machine, python="3.11.2").make_venv() == ""
    assert [command[command.index("--python") + 1] for command in machine.commands] == ["3.11.2"]
    machine = Machine()
    assert installation(machine, python="3.11.8").make_venv() == ""
    assert [command[command.index("--python") + 1] for command in machine.commands] == ["3.11.8", "3.11"]
    assert "No interpreter" in installation(Machine(), python="3.12.1").make_venv()


def test_constraints_and_allowed_lines_reach_the_installer():
    """Options stand before the requirements they are for."""
    machine, line = Machine(), "--extra-index-url https://example.org/simple"
    files = {"constraints.txt": ["six==1.15.0"]}
    installation(machine, line, "-c constraints.txt", allow=[line], constraint_files=files).install()
    assert machine.files == {"requirements.txt": f"{line}\nmlflow==3.17.2\n", "constraints.txt": "six==1.15.0\n"}
    assert machine.installs[-1][machine.installs[-1].index("-c") + 1] == "/build/constraints.txt"


@pytest.mark.parametrize("git", [True, False])
def test_git_is_looked_for_before_something_is_fetched_with_it(git):
    """The installer would say it, too, and of the version."""
    machine, line = Machine(git=git), "x @ git+https://example.org/x.git"
    made = installation(machine, line, allow=[line])
    if git:
        made.install()
        return
    with pytest.raises(EngineError, match="git"):
        made.install()


def test_pins_are_listed_without_credentials():
    """They go into the evidence."""
    frozen = "Using Python\nsix==1.16.0\nx @ https://user:secret@example.org/x.whl\n"
    assert pins_of(frozen) == ("six==1.16.0", "x @ https://example.org/x.whl")


NO_WHEEL = """error: No solution found when resolving dependencies
  cause: Because docopt==0.6.2 has no usable wheels and you require docopt==0.6.2, we can conclude that they are unsatisfiable.

hint: Wheels are required for `docopt` because building from source is disabled for all packages (i.e., with `--no-build`)
"""


def test_what_has_no_wheel_is_not_built_where_nothing_may_be():
    """The caller does that elsewhere; where it may be built, the same words are the version's fault."""
    with pytest.raises(NeedsBuild):
        installation(Machine(refuses={"docopt": NO_WHEEL}), "docopt==0.6.2").install()
    machine = Machine(refuses={"docopt": NO_WHEEL})
    with pytest.raises(InstallError):
        installation(machine, "docopt==0.6.2", builds=True).install()
    assert "--no-build" not in machine.installs[0]


def test_a_build_that_uv_stops_while_it_runs_counts_too():
    """A direct URL of a source distribution, whose words differ."""
    words = "error: Building source distributions is disabled, but attempted to build `x`\n"
    line = "x @ https://example.org/x.tar.gz"
    with pytest.raises(NeedsBuild):
        installation(Machine(refuses={"x @": words}), line, allow=[line]).install()


def test_bytecode_is_made_by_an_interpreter_that_runs_nothing_of_the_environment():
    """A `.pth` file is code. What can not be compiled is left, but for a full disk."""
    machine = Machine(compiled=(1, "*** Error compiling 'old.py'..."))
    installation(machine, "six==1.16.0").install()
    assert machine.commands[-1][:4] == ["/usr/bin/python3.11", "-I", "-S", "-c"]
    assert machine.commands[-1][-1] == "/venv/lib/python3.11/site-packages"
    machine = Machine(compiled=(1, "OSError: [Errno 28] No space left on device"))
    with pytest.raises(EngineError, match="the disk is full"):
        installation(machine, "six==1.16.0").install()


def test_what_is_stale_is_compiled_and_nothing_else(tmp_path):
    """A changed file, a new one and no package's own tests; what is no Python is said, and the rest is compiled."""
    site = tmp_path / "site-packages"
    (site / "a" / "tests").mkdir(parents=True)
    for name in ("a/old.py", "a/changed.py", "a/tests/test_a.py"):
        (site / name).write_text("x = 1\n")

    def compiled():
        script = [sys.executable, *ISOLATED, "-c", _COMPILE, str(site)]
        done = subprocess.run(script, capture_output=True, text=True, check=False)
        files = {
            path.relative_to(site).as_posix().split(".")[0]: path.stat().st_mtime_ns for path in site.rglob("*.pyc")
        }
        return done, files

    done, first = compiled()
    assert (done.returncode, first.keys()) == (0, {"a/__pycache__/old", "a/__pycache__/changed"})
    (site / "a" / "changed.py").write_text("x = 22\n")
    for number in range(101):
        (site / f"new{number}.py").write_text("x = 1\n")
    (site / "broken.py").write_text("x = = 1\n")
    done, second = compiled()
    assert done.returncode == 1
    assert "broken.py" in done.stdout
    assert second["a/__pycache__/old"] == first["a/__pycache__/old"]
    assert second["a/__pycache__/changed"] > first["a/__pycache__/changed"]
    assert len(second) == 2 + 101
    assert "tests" not in " ".join(second)
