"""Publication: the files of a run, all of them, and the registry last."""

import json
import resource
import threading
from dataclasses import replace

import pytest

from mlgate.errors import OutputError, RegistryError
from mlgate.evidence import Evidence, Outcome
from mlgate.policy_file import parse_policy
from mlgate.publication import check_output, install_files, metrics_of, publish, write_files
from mlgate.registry.memory import MemoryRegistry
from mlgate.registry.tags import STATUS
from tests.unit.builders import FULL_POLICY, POLICY, admissible, result, with_check

BASE = admissible(POLICY)
EXAMPLE = {"example": '{"age": 1}', "request": "{}"}
FAILED = with_check(BASE, "load", result("own.check[x=a%2Fb]", Outcome.FAILED, details=EXAMPLE))
FILES = {"report.html", "report.md", "junit.xml", "policy.yaml", "evidence.json"}


def names(folder):
    """Every file below a folder, but the lock."""
    return {
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file() and path.name != ".lock"
    }


@pytest.fixture
def work(tmp_path):
    """A run's working folder, written."""
    folder = tmp_path / "work"
    folder.mkdir()
    write_files(BASE, folder)
    return folder


def test_a_run_leaves_its_report_policy_and_evidence(work):
    """The evidence byte for byte: its digest is what everything else names."""
    assert names(work) == FILES
    assert Evidence.from_bytes((work / "evidence.json").read_bytes()).digest == BASE.digest
    assert (work / "policy.yaml").read_text() == POLICY.text


def test_each_failure_leaves_its_example(tmp_path):
    """In a file of its own whose name is a name everywhere; passed checks leave none."""
    evidence = with_check(FAILED, "load", result("own.other", details=EXAMPLE))
    evidence = with_check(evidence, "load", result("own.bare", Outcome.FAILED))
    write_files(evidence, tmp_path)
    (file,) = (tmp_path / "failures").iterdir()
    assert file.name.startswith("own.check.x-a_b_")
    document = json.loads(file.read_text())
    assert document == {"check": "own.check[x=a%2Fb]", "reason": "measured", "seed": 7, **EXAMPLE}


@pytest.mark.parametrize("value", ["v" * 400, "漢" * 200, "../../etc/passwd", "..", "\ud800", "a\nb", "\x00"])
def test_a_failure_of_any_name_stays_in_its_folder(tmp_path, value):
    """A slice may be called anything, and its text may hold anything."""
    check = replace(result("own.check", Outcome.FAILED, details={"example": value}), params={"x": value})
    write_files(with_check(BASE, "load", check), tmp_path)
    assert len(list((tmp_path / "failures").iterdir())) == 1
    assert len(names(tmp_path)) == len(FILES) + 1


def test_two_failures_never_share_a_file(tmp_path):
    """Names that clean up to the same text."""
    evidence = BASE
    for value in ("a/b", "a:b", "a_b", "a?b"):
        check = replace(result("own.check", Outcome.FAILED, details=EXAMPLE), params={"x": value})
        evidence = with_check(evidence, "load", check)
    write_files(evidence, tmp_path)
    assert len(list((tmp_path / "failures").iterdir())) == 4


@pytest.mark.parametrize("name", ["file/below", "file"])
def test_an_output_that_can_not_be_written_is_told_before_anything_starts(tmp_path, name):
    """A file where a folder should be."""
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match=r"can not be written .*Hint: --mlgate-output DIR") as caught:
        check_output(tmp_path / name)
    assert caught.value.exit_code == 2


def test_an_output_is_made_and_left_empty(tmp_path):
    """Trying to write leaves nothing."""
    check_output(tmp_path / "a" / "b")
    assert list((tmp_path / "a" / "b").iterdir()) == []


def test_the_files_of_a_run_replace_those_of_the_last_one(tmp_path):
    """Also where the new run has fewer: an old failure beside a new pass would lie. The user's own files stay."""
    output = tmp_path / "out"
    check_output(output)
    (output / "mine.txt").write_text("mine")
    for index, evidence in enumerate((FAILED, BASE)):
        folder = tmp_path / f"work{index}"
        folder.mkdir()
        write_files(evidence, folder)
        if evidence is FAILED:
            (folder / "load").mkdir()
            (folder / "load" / "samples.csv").write_text("x")
        install_files(folder, output)
        more = {"load/samples.csv", *(f"failures/{path.name}" for path in (folder / "failures").glob("*"))}
        assert names(output) == FILES | {"mine.txt"} | (more if evidence is FAILED else set())
        assert (output / "evidence.json").read_bytes() == evidence.canonical()
    assert [path.name for path in output.iterdir() if path.name.startswith(".new")] == []


def test_a_full_disk_is_one_short_reason(tmp_path):
    """And not a list of every file that found no room, with where they came from."""
    output, work = tmp_path / "out", tmp_path / "work"
    work.mkdir()
    check_output(output)
    write_files(BASE, work)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    try:
        with pytest.raises(OutputError) as caught:
            install_files(work, output)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert str(caught.value) == f"output directory {output}: File too large; the earlier files stay"
    assert names(output) == set()


@pytest.mark.parametrize("name", ["junit.xml", "policy.yaml"])
def test_a_file_that_the_new_run_lacks_does_not_stay(tmp_path, work, name):
    """It would be another run's."""
    output = tmp_path / "out"
    check_output(output)
    install_files(work, output)
    (work / name).unlink()
    install_files(work, output)
    assert names(output) == FILES - {name}


def test_two_runs_that_end_together_leave_the_files_of_one(tmp_path):
    """Never a mixture."""
    output = tmp_path / "out"
    check_output(output)
    folders = []
    for seed in range(6):
        folder = tmp_path / f"work{seed}"
        folder.mkdir()
        evidence = replace(BASE, seed=seed, policy=replace(BASE.policy, text=f"# {seed}\n"))
        write_files(evidence, folder)
        folders.append(folder)
    threads = [threading.Thread(target=install_files, args=(folder, output)) for folder in folders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seed = Evidence.from_bytes((output / "evidence.json").read_bytes()).seed
    assert names(output) == FILES
    for name in FILES:
        assert (output / name).read_bytes() == (folders[seed] / name).read_bytes()


def test_an_output_that_is_gone_is_one_line(tmp_path, work):
    """The run's verdict was still printed; what can not be written is said."""
    (tmp_path / "out").write_text("somebody put a file there")
    with pytest.raises(OutputError, match="the earlier files stay"):
        install_files(work, tmp_path / "out")


class Registry(MemoryRegistry):
    """Refuses one kind of write."""

    def __init__(self, refuses=""):
        super().__init__()
        self.refuses = refuses

    def _check(self, what):
        if what == self.refuses:
            raise RegistryError(f"{what} refused")

    def publish(self, run):
        self._check("publish")
        return super().publish(run)

    def set_tags(self, version, tags):
        self._check("set_tags")
        super().set_tags(version, tags)

    def set_description(self, version, text):
        self._check("set_description")
        super().set_description(version, text)


def registered(registry, folder):
    """Version 1 of churn."""
    (folder / "model").mkdir()
    (folder / "model" / "MLmodel").write_text("flavors: {}\n")
    return registry.add("churn", folder / "model")


def test_the_run_comes_first_then_the_tags_then_the_description(tmp_path, work):
    """Killed anywhere in between, nothing reads like a pass that has no evidence; the status is the last tag."""
    registry = Registry()
    version = registered(registry, tmp_path)
    registry.set_description(version, "mine")
    registry.writes.clear()
    run_id = publish(registry, version, BASE, work)
    assert registry.writes[0] == f"run {run_id}"
    assert all(write.startswith("tag ") for write in registry.writes[1:-1])
    assert registry.writes[-2].endswith(f"{STATUS} = passed")
    assert registry.writes[-1].startswith("description ")
    assert registry.description(version).splitlines()[0].startswith("mlgate: passed")
    assert registry.description(version).endswith("mine")


def test_what_was_published_is_what_the_gate_reads(tmp_path, work):
    """The bytes, under the digest that the run's tag claims."""
    registry = Registry()
    version = registered(registry, tmp_path)
    publish(registry, version, BASE, work)
    (found,) = registry.evidence("churn", artifact_digest=BASE.subject.artifact_digest)
    assert (found.raw, found.claimed_digest) == (BASE.canonical(), BASE.digest)


@pytest.mark.parametrize("refuses", ["publish", "set_tags", "set_description"])
def test_a_registry_that_goes_away_leaves_no_pass_without_evidence(tmp_path, work, refuses):
    """Whichever write is the first to fail."""
    registry = Registry(refuses)
    version = registered(registry, tmp_path)
    with pytest.raises(RegistryError, match=refuses):
        publish(registry, version, BASE, work)
    tagged = registry.tags(version).get(STATUS)
    assert tagged is None or registry.evidence("churn")
    assert (work / "evidence.json").exists()


def test_a_version_that_is_not_registered_gets_a_run_and_no_tags(tmp_path, work):
    """There is no place for them."""
    registry = Registry()
    version = replace(registered(registry, tmp_path), name=None, version=None)
    registry.writes.clear()
    run_id = publish(registry, version, BASE, work)
    assert registry.writes == [f"run {run_id}"]


def test_every_measurement_becomes_a_metric_with_the_champions_beside_it():
    """Under its MLflow name; what was not measured is none."""
    evidence = admissible(parse_policy("requires: [load]\n"))
    champion = {"champion": {"value": 0.7, "lower": 0.6}}
    evidence = with_check(
        evidence, "accuracy", result("accuracy.regression[metric=f1]", measured=-0.01, details=champion)
    )
    evidence = with_check(
        evidence, "accuracy", result("own.check", measured=float("nan"), details={"champion": {"value": "nan"}})
    )
    assert metrics_of(evidence) == {
        "accuracy.regression/metric:f1": -0.01,
        "champion.accuracy.regression/metric:f1": 0.7,
    }


def test_the_run_names_the_data(tmp_path, work):
    """By digest; a run without data names none."""
    registry = Registry()
    version = registered(registry, tmp_path)
    seen = []
    registry.publish = lambda run: seen.append(run) or "run"
    publish(registry, version, admissible(FULL_POLICY), work)
    publish(registry, version, replace(BASE, data=None), work)
    assert [run.dataset for run in seen] == [{"name": "holdout.csv", "digest": BASE.data.digest, "rows": "1000"}, {}]
