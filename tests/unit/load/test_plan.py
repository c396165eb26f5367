import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlgate.load.plan import LoadPlan, Target
from mlgate.load.schedule import constant

BODIES = st.lists(st.binary(max_size=50), min_size=1, max_size=8)


def target(*bodies, **options):
    """Return a target that is asked *bodies*."""
    return Target(**{"url": "http://127.0.0.1:1", "bodies": bodies or (b"{}",), **options})


@given(first=BODIES, second=BODIES)
def test_a_plan_survives_its_file(tmp_path_factory, first, second):
    """What the generator reads is what was planned, whatever bytes the bodies hold."""
    folder = tmp_path_factory.mktemp("plan")
    plan = LoadPlan(
        targets=(
            target(*first, headers={"X-Token": "ü"}, path="/v2/models/model/infer", protocol="v2"),
            target(*second, rows=tuple(range(len(second))), reject_not_finite=False, content_type="text/csv"),
        ),
        schedule=constant(10, 2),
        target=np.arange(20, dtype=np.uint8) % 2,
        timeout_s=2.5,
        workers=3,
        cores=(0, 2),
    )
    plan.write(folder)
    again = LoadPlan.read(folder)
    assert again.targets == plan.targets
    for mine, theirs in zip(again.columns(), plan.columns(), strict=True):
        assert (mine == theirs).all()
    assert (again.schedule.sends_s == plan.schedule.sends_s).all()
    for name in ("timeout_s", "workers", "cores"):
        assert getattr(again, name) == getattr(plan, name)
    assert (again.schedule.rate, again.schedule.duration_s) == (10, 2)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"targets": ()}, "sends nothing"),
        ({"timeout_s": 0.0}, "above zero"),
        ({"workers": 0}, "above zero"),
        ({"body": np.zeros(3, np.int32)}, "10 sends, and a body for 3"),
        ({"body": np.full(10, 1, np.int32)}, "does not have"),
        ({"body": np.full(10, -1, np.int32)}, "does not have"),
        ({"target": np.full(10, 1, np.uint8)}, "does not have"),
    ],
)
def test_a_plan_that_can_not_run_is_refused(wrong, said):
    """Nobody to ask, no time to answer, a body that is not there: said before a process starts."""
    with pytest.raises(ValueError, match=said):
        LoadPlan(**{"targets": (target(),), "schedule": constant(10, 1), **wrong})


@pytest.mark.parametrize("wrong", [{"bodies": ()}, {"rows": (1, 2)}, {"path": "invocations"}])
def test_a_target_that_can_not_be_asked_is_refused(wrong):
    """No bodies, row counts of others, no path."""
    with pytest.raises(ValueError, match=r"sent nothing|and the rows of|leading /"):
        target(**wrong)


def test_bodies_are_sent_in_turn_to_each_target():
    """Two targets in turns each get all of their own bodies, though one has three and one has two."""
    turns = np.arange(12, dtype=np.uint8) % 2
    plan = LoadPlan(targets=(target(b"a", b"b", b"c"), target(b"d", b"e")), schedule=constant(12, 1), target=turns)
    body, _ = plan.columns()
    assert body[turns == 0].tolist() == [0, 1, 2, 0, 1, 2]
    assert body[turns == 1].tolist() == [0, 1, 0, 1, 0, 1]


@given(sends=st.integers(1, 60), count=st.integers(1, 7), bodies=st.integers(1, 5))
def test_the_shares_together_are_the_plan(sends, count, bodies):
    """Every send is in one share, with its time and the body that it would have carried."""
    plan = LoadPlan(targets=(target(*[b"%d" % n for n in range(bodies)]),), schedule=constant(sends, 1), workers=count)
    whole = list(zip(plan.schedule.sends_s, *plan.columns(), strict=True))
    for index in range(count):
        share = plan.share(index, count)
        assert list(zip(share.schedule.sends_s, *share.columns(), strict=True)) == whole[index::count]
        assert share.schedule.duration_s == plan.schedule.duration_s


def test_another_host_may_reach_the_server_elsewhere():
    """The first addresses are replaced, the rest stays, and so does all else of a target."""
    plan = LoadPlan(targets=(target(b"x", path="/a"), target(path="/b")), schedule=constant(10, 1))
    moved = plan.at(["http://10.0.0.9:80"])
    assert [each.url for each in moved.targets] == ["http://10.0.0.9:80", "http://127.0.0.1:1"]
    assert [(each.path, each.bodies) for each in moved.targets] == [("/a", (b"x",)), ("/b", (b"{}",))]
