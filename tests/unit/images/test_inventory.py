"""What may go and what stays: decided without an engine."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlgate.images.inventory import (
    STAGING,
    Inventory,
    Kind,
    Layer,
    PruneRequest,
    StoredImage,
    StoredVolume,
    plan_prune,
    staging_owner,
    staging_tag,
)
from mlgate.sandbox.session import SessionTag

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
MONTH = timedelta(days=30)
BASE = ("sha256:base",)


def environment(name="a", *, days=0.0, **changes):
    used = NOW - timedelta(days=days)
    layer = Layer(chain=(*BASE, f"sha256:{name}"), size=1000)
    given = {"id": f"sha256:{name}", "tags": (f"mlgate/environment:{name}",), "kind": Kind.ENVIRONMENT}
    return StoredImage(**given | {"created": used, "used": used, "size": 1500, "layers": (layer,)} | changes)


def deployable(below, *, days=0.0, **changes):
    used = NOW - timedelta(days=days)
    layers = (*below.layers, Layer(chain=(*below.layers[-1].chain, "sha256:model"), size=10))
    given = {"id": "sha256:d", "tags": ("churn:3",), "kind": Kind.DEPLOYABLE, "layers": layers}
    return StoredImage(**given | {"created": used, "used": used, "size": 1510} | changes)


def plan(*images, volumes=(), foreign=frozenset(), **request):
    request = PruneRequest(**{"unused_for": MONTH} | request)
    return plan_prune(Inventory(images=images, volumes=volumes, foreign=foreign), request, NOW)


def names(things):
    return [thing.name for thing in things]


def test_an_environment_that_was_not_used_for_so_long_goes():
    """At the limit, and not a second before it."""
    found = plan(environment("old", days=30), environment("new", days=29.99))
    assert names(found.images) == ["mlgate/environment:old"]
    assert found.freed() == 1000
    assert dict(found.kept) == {"mlgate/environment:new": "used 30 d ago"}


def test_all_takes_new_ones_too():
    """Whoever says so means it."""
    assert names(plan(environment(), unused_for=None).images) == ["mlgate/environment:a"]


def test_what_a_container_uses_stays_whatever_is_asked():
    """It may be a test that runs."""
    used = environment("used", days=99, containers=2)
    found = plan(used, unused_for=None, deployable=True)
    assert (found.images, dict(found.kept)) == ((), {used.name: "in use by 2 containers"})


def test_a_deployable_image_and_what_it_stands_on_stay():
    """Nothing would be free without the environment, and the image could not be pushed any more."""
    below = environment(days=99)
    found = plan(below, deployable(below, days=99), unused_for=None)
    assert found.images == ()
    assert dict(found.kept) == {
        below.name: "another image stands on it",
        "churn:3": "deployable: --deployable removes it",
    }


def test_asked_for_the_deployable_image_goes_first_then_its_environment():
    """The engine refuses the other order; the layer that both have is counted once."""
    below = environment(days=99)
    found = plan(below, deployable(below, days=99), deployable=True)
    assert names(found.images) == ["churn:3", below.name]
    assert found.freed() == 1010


def test_an_environment_that_somebody_elses_image_stands_on_stays():
    """Built with `FROM`: we do not know it, and see its layers."""
    below = environment(days=99)
    chain = below.layers[-1].chain
    assert plan(below, foreign=frozenset({chain, (*chain, "sha256:theirs")})).images == ()


def test_an_image_under_way_stays_for_an_hour_and_is_never_wanted_after_that():
    """A build that was killed leaves its name; `--deployable` need not be said."""
    below = environment()
    tags = (f"{STAGING}:0123_1_2_b_n",)
    young, old = (deployable(below, days=days, tags=tags) for days in (0.5 / 24, 2 / 24))
    assert dict(plan(below, young, deployable=True, unused_for=None).kept)[tags[0]] == "being built"
    assert names(plan(below, old).images) == [tags[0]]


def test_caches_go_when_asked_for_and_not_in_use():
    """Downloads can be had again; a container that reads one needs it now."""
    packages = StoredVolume(name="mlgate-uv-cache", kind=Kind.PACKAGES, size=500)
    model = StoredVolume(name="model", kind=Kind.MODEL, size=None)
    busy = StoredVolume(name="busy", kind=Kind.MODEL, size=7, users=1)
    assert plan(volumes=(packages, model, busy)).volumes == ()
    found = plan(volumes=(packages, model, busy), caches=True)
    assert names(found.volumes) == ["mlgate-uv-cache", "model"]
    assert found.freed() == 500
    assert dict(found.kept) == {"busy": "in use by 1 container"}


def test_what_the_engine_refused_is_not_counted_as_freed():
    """Somebody began to use it between the look and the removal."""
    below = environment(days=99)
    found = plan(below, deployable(below, days=99), environment("b", days=99), deployable=True)
    after = found.after((("churn:3", "in use"), (below.name, "has children")))
    assert names(after.images) == ["mlgate/environment:b"]
    assert after.freed() == 1000
    assert ("churn:3", "in use") in after.kept


IMAGES = st.lists(
    st.tuples(
        st.sampled_from("abc"), st.floats(0, 60), st.integers(0, 1), st.booleans(), st.floats(0, 60), st.integers(0, 1)
    ),
    max_size=5,
)


@given(IMAGES, st.booleans(), st.booleans())
def test_no_layer_of_an_image_that_stays_is_ever_removed(drawn, deployables, everything):
    """Whatever is there and whatever is asked: containers and what stays keep all that they stand on."""
    images = []
    for index, (name, days, containers, has_model, model_days, model_containers) in enumerate(drawn):
        below = environment(f"{name}{index}", days=days, containers=containers)
        images.append(below)
        if has_model:
            images.append(
                deployable(
                    below, days=model_days, containers=model_containers, id=f"d{index}", tags=(f"churn:{index}",)
                )
            )
    found = plan(*images, deployable=deployables, unused_for=None if everything else MONTH)
    gone = {image.id for image in found.images}
    needed = {layer.chain for image in images if image.id not in gone for layer in image.layers}
    assert not {image.layers[-1].chain for image in found.images} & needed
    assert not any(image.containers for image in found.images)
    assert {name for name, _ in found.kept} | {image.name for image in found.images} == {image.name for image in images}
    if not deployables:
        assert all(image.kind is Kind.ENVIRONMENT for image in found.images)


@pytest.mark.parametrize("owner", ["1:2:6a297374-5bc9:4026531836", "17:3:boot:ns:host"])
def test_the_tag_of_an_image_under_way_tells_whose_it_is(owner):
    """Within what a tag may hold."""
    tag = staging_tag(SessionTag(id="0123456789abcdef", owner=owner))
    assert staging_owner(tag) == owner
    assert set(tag) <= set("abcdefghijklmnopqrstuvwxyz0123456789_.-")
    assert len(tag) <= 128


def test_the_tag_of_this_process_fits():
    """With the owner as it is on this machine."""
    session = SessionTag.new()
    assert staging_owner(staging_tag(session)) == session.owner
    assert len(staging_tag(session)) <= 128


def test_a_foundation_stays_while_an_environment_stands_on_it_and_goes_after_it():
    """Whatever its own age; both are environments, and the upper one has to go first."""
    below = environment("foundation", days=99)
    layers = (*below.layers, Layer(chain=(*below.layers[-1].chain, "sha256:top"), size=5))
    young, old = environment("b", layers=layers), environment("b", layers=layers, days=99)
    assert dict(plan(below, young).kept)["mlgate/environment:foundation"] == "another image stands on it"
    found = plan(below, old)
    assert names(found.images) == ["mlgate/environment:b", "mlgate/environment:foundation"]
    assert found.freed() == 1005
