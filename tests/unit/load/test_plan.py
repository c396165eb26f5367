import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlgate.load.plan import LoadPlan
from mlgate.load.schedule import constant


@given(bodies=st.lists(st.binary(max_size=50), min_size=1, max_size=8))
def test_a_plan_survives_its_files(tmp_path_factory, bodies):
    """What the generator reads is what was planned, whatever bytes the bodies hold."""
    folder = tmp_path_factory.mktemp("plan")
    plan = LoadPlan(
        url="http://127.0.0.1:1",
        bodies=tuple(bodies),
        schedule=constant(10, 2),
        headers={"X-Token": "ü"},
        timeout_s=2.5,
        path="/v2/models/model/infer",
        reject_not_finite=False,
        reject_null=True,
    )
    plan.write(folder)
    again = LoadPlan.read(folder)
    assert again.bodies == plan.bodies
    assert (again.schedule.sends_s == plan.schedule.sends_s).all()
    for name in ("url", "path", "content_type", "headers", "timeout_s", "reject_not_finite", "reject_null"):
        assert getattr(again, name) == getattr(plan, name)


@pytest.mark.parametrize("wrong", [{"bodies": ()}, {"timeout_s": 0.0}, {"path": "invocations"}])
def test_a_plan_that_can_not_run_is_refused(wrong):
    """Nothing to send, no time to answer, no path: said before a process starts."""
    with pytest.raises(ValueError, match=r"sends nothing|timeout above 0"):
        LoadPlan(**{"url": "http://127.0.0.1:1", "bodies": (b"{}",), "schedule": constant(10, 1), **wrong})
