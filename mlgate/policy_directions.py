"""The direction of every key of the policy, in one table. Pure.

A key that is not in it would be a way to weaken a gate that nobody sees: a test holds the table against the policy's
model, and `policy_diff` says "may be weaker" of what it does not find.
"""

from collections.abc import Callable, Mapping
from typing import Any

from mlgate.policy_rules import Amount, Effect, Listed, Named, Ranked, Rule, always
from mlgate.policy_rules_own import Batch, Expires, Grid, OnList, Path, Profile, Signers, Tolerance, end, start

_WEAKER, _UNCLEAR, _STRICTER, _DIFFERENT = Effect.WEAKER, Effect.MAY_BE_WEAKER, Effect.STRICTER, Effect.DIFFERENT
NOT_IN_TABLE = always(_UNCLEAR, "unclear which way: mlgate knows no direction for this key")


def _limit(unit: str, weaker: str, stricter: str, *, absent: Effect = _WEAKER, text: str = "not checked") -> Amount:
    return Amount(more=_WEAKER, unit=unit, weaker=weaker, stricter=stricter, absent=absent, absent_text=text)


def _floor(unit: str, weaker: str, stricter: str, *, absent: Effect = _WEAKER, text: str = "not checked") -> Amount:
    return Amount(more=_STRICTER, unit=unit, weaker=weaker, stricter=stricter, absent=absent, absent_text=text)


def _required(weaker: str, stricter: str, changed: str | None = None) -> Named:
    return Named(
        added=(_STRICTER, stricter),
        removed=(_WEAKER, weaker),
        changed=(_UNCLEAR, f"unclear which way: {changed}") if changed else None,
    )


def _domain(more: Effect, number: Callable[[Any], float] = float) -> Amount:
    return Amount(
        more=more,
        weaker="fewer inputs are tried",
        stricter="more inputs are tried",
        absent=_UNCLEAR,
        absent_text="by signature and data",
        number=number,
    )


def _demands(weaker: str, stricter: str) -> Listed:
    return Listed(added=(_STRICTER, stricter), removed=(_WEAKER, weaker))


def _unclear(what: str) -> Named:
    return always(_UNCLEAR, f"unclear which way: {what}")


def _other(what: str) -> Named:
    return always(_DIFFERENT, f"{what}; have a look")


_EASIER_MACHINE, _HARDER_MACHINE = "the same limits are easier to keep", "the same limits are harder to keep"
# Part of what names or makes up the section above, which is compared as a whole.
_IDENTITY = _unclear("something else is judged")
_INSIDE = Named(added=(_UNCLEAR, "unclear which way"), removed=(_UNCLEAR, "unclear which way"))
_REVOKED = Ranked(
    ranks={False: 0, True: 1}, weaker="a key that was taken back is believed again", stricter="it is believed no more"
)

DIRECTIONS: Mapping[str, Rule] = {
    "version": _unclear("another format of the policy"),
    "model": _required(
        "any registered model is judged", "other registered models are refused", "another model is judged"
    ),
    "requires": _demands("this suite need not pass any more", "this suite must pass as well"),
    "own_checks": _demands("its checks are no longer run", "its checks are run as well"),
    "sandbox": Listed(
        added=(_WEAKER, "runs in this kind of sandbox admit as well"),
        removed=(_STRICTER, "runs in this kind of sandbox no longer admit"),
    ),
    "runtime.server": _other("another server is tested"),
    "runtime.base_image": _other("another image is tested"),
    "runtime.platform": _other("another platform is tested"),
    "runtime.apt": _other("other system packages are tested"),
    "runtime.allow_requirements": Listed(
        added=(_WEAKER, "a requirement that is refused elsewhere is installed"),
        removed=(_STRICTER, "this requirement is refused"),
    ),
    "runtime.env.*": _other("the server is tested with another environment"),
    "runtime.cpus": _limit("CPUs", _EASIER_MACHINE, _HARDER_MACHINE),
    "runtime.memory": _limit("bytes", _EASIER_MACHINE, _HARDER_MACHINE),
    "runtime.request_timeout": _limit("s", "longer silence is no hang", "shorter silence is a hang"),
    "runtime.port": _other("another port of a given image is asked"),
    "schema.compatible_with_champion": Ranked(
        ranks={False: 0, True: 1},
        weaker="requests that are valid for the champion may be refused",
        stricter="requests that are valid for the champion must be answered",
    ),
    "schema.rejects": Ranked(
        ranks={"basic": 0, "strict": 1},
        weaker="further malformed requests may be answered",
        stricter="further malformed requests must be refused",
    ),
    "schema.extra_column": Ranked(
        ranks={"ignore": 0, "refuse": 1},
        weaker="a request with an unknown column may be answered",
        stricter="a request with an unknown column must be refused",
    ),
    "schema.max_body": _limit("bytes", "larger requests may be answered", "smaller requests must be refused"),
    "properties.examples": _floor("", "fewer rows are generated", "more rows are generated"),
    "properties.inputs.*": Named(
        added=(_UNCLEAR, "unclear which way, most often narrower: the domain came from signature and data"),
        removed=(_UNCLEAR, "unclear which way: the domain comes from signature and data"),
    ),
    "properties.inputs.*.min": _domain(_WEAKER),
    "properties.inputs.*.max": _domain(_STRICTER),
    "properties.inputs.*.step": Grid(),
    "properties.inputs.*.values": Listed(
        added=(_STRICTER, "this value is tried as well"),
        removed=(_WEAKER, "this value is no longer tried"),
        appeared=(_UNCLEAR, "unclear which way: only these values are tried"),
        vanished=(_UNCLEAR, "unclear which way: the domain is described in another way"),
    ),
    "properties.inputs.*.pattern": _unclear("other texts are tried"),
    "properties.inputs.*.min_length": _domain(_WEAKER),
    "properties.inputs.*.max_length": _domain(_STRICTER),
    "properties.inputs.*.after": _domain(_WEAKER, start),
    "properties.inputs.*.before": _domain(_STRICTER, end),
    "properties.inputs.*.nullable": Ranked(
        ranks={False: 0, True: 1}, weaker="null need not be tried", stricter="null is tried"
    ),
    "properties.order": Listed(
        added=(_WEAKER, "fewer inputs are tried: only those in this order"),
        removed=(_STRICTER, "more inputs are tried: in any order"),
    ),
    "properties.output": _required("no range of the answers is checked", "a range of the answers is checked"),
    "properties.output.min": _floor("", "smaller answers pass", "smaller answers fail"),
    "properties.output.max": _limit("", "larger answers pass", "larger answers fail"),
    "properties.output.labels": Listed(
        added=(_WEAKER, "this answer passes as well"),
        removed=(_STRICTER, "this answer fails"),
        appeared=(_STRICTER, "only these answers pass"),
        vanished=(_WEAKER, "answers are no longer held to labels"),
    ),
    "properties.output.simplex": Ranked(
        ranks={False: 0, True: 1},
        weaker="answers need not be probabilities that sum to 1",
        stricter="answers must be probabilities that sum to 1",
    ),
    "properties.output.place": _unclear("another part of the answer is judged"),
    "properties.tolerance": Tolerance(),
    "properties.tolerate": _limit(
        "share", "more rows may break a property", "fewer rows may break a property", absent=_STRICTER, text="none may"
    ),
    "properties.invariant_to": _demands("answers may depend on it", "answers must not depend on it"),
    "properties.monotonic.*": _required(
        "answers need not follow it", "answers must follow it", "the other way round is asked for"
    ),
    "properties.symmetric": _demands("swapping them may change the answer", "swapping them must keep the answer"),
    "properties.scale.*": _required(
        "a change of units may change the answer", "a change of units must keep the answer", "another change of units"
    ),
    "properties.scale.*.name": _IDENTITY,
    "properties.scale.*.multiply.*": _IDENTITY,
    "properties.scale.*.add.*": _IDENTITY,
    "properties.scale.*.set.*": _IDENTITY,
    "properties.scale.*.where.*": _IDENTITY,
    "properties.unseen_category": Ranked(
        ranks={"any": 0, "answer": 1, "refuse": 1},
        weaker="an unseen value may get an answer or a refusal",
        stricter="an unseen value must get just that",
    ),
    "properties.regressions": _required(
        "saved failures are not tried again", "saved failures are tried again", "another folder of saved failures"
    ),
    "accuracy.data": Named(
        added=(_STRICTER, "the data are named, and no longer those that the source run logged"),
        removed=(_WEAKER, "the data are those that the source run logged"),
        changed=(_DIFFERENT, "other data are judged on; have a look"),
    ),
    "accuracy.digest": Named(
        added=(_STRICTER, "the data must be exactly these"),
        removed=(_WEAKER, "the data are no longer pinned"),
        changed=(_DIFFERENT, "other data are judged on; have a look"),
    ),
    "accuracy.label": _unclear("another column is the truth"),
    "accuracy.key": _unclear("rows are paired with the champion's in another way"),
    "accuracy.group": _required(
        "rows of one group count as independent: bounds are tighter",
        "rows of one group do not count as independent: bounds are wider",
        "rows are grouped by another column",
    ),
    "accuracy.prediction": _unclear("another output is the prediction"),
    "accuracy.score": _unclear("another output is the score"),
    "accuracy.classes": _unclear("the answer's places mean other classes"),
    "accuracy.positive": _unclear("another class is the positive one"),
    "accuracy.threshold": _unclear("scores become predictions in another way"),
    "accuracy.metrics.*": _required("this metric is no longer judged", "this metric is judged as well"),
    "accuracy.metrics.*.min": _floor("", "worse models pass", "better models are asked for"),
    "accuracy.metrics.*.max": _limit("", "worse models pass", "better models are asked for"),
    "accuracy.metrics.*.margin": _limit(
        "", "models that lose more against the champion pass", "models must lose less against the champion"
    ),
    "accuracy.metrics.*.at": _unclear("the metric has another parameter"),
    "accuracy.metrics.*.better": _unclear("the metric is read the other way round"),
    "accuracy.slices": _demands("the model may be worse on this slice", "the model must hold on this slice as well"),
    "accuracy.gaps.*": _required("this gap is no longer judged", "this gap is judged as well"),
    "accuracy.gaps.*.column": _IDENTITY,
    "accuracy.gaps.*.metric": _IDENTITY,
    "accuracy.gaps.*.max": _limit("", "values may stand further apart", "values must stand closer together"),
    "accuracy.confidence": _floor("share", "less evidence is enough", "more evidence is needed"),
    "accuracy.engine": _other("answers are scored by another engine"),
    "accuracy.max_challengers": _limit(
        "", "a used-up holdout is warned of later", "a used-up holdout is warned of earlier"
    ),
    "cold_start.repeats": _floor("", "fewer starts must keep the limits", "more starts must keep the limits"),
    "cold_start.ready": _limit("s", "slower starts pass", "slow starts fail earlier"),
    "cold_start.first_prediction": _limit("s", "slower starts pass", "slow starts fail earlier"),
    "cold_start.peak_memory": _limit("bytes", "starts that need more memory pass", "starts must need less memory"),
    "cold_start.max_ratio_to_champion": _limit(
        "", "starts slower than the champion's pass", "starts must be closer to the champion's"
    ),
    "load.rate": _floor("1/s", "fewer requests a second are enough", "more requests a second must be served"),
    "load.duration": _floor("s", "a shorter run is enough", "a longer run must be served"),
    "load.arrivals": Ranked(
        ranks={"constant": 0, "poisson": 1},
        weaker="requests come evenly and never in bursts",
        stricter="requests come in bursts, as independent callers send them",
    ),
    "load.profile": Profile(),
    "load.profile.ramp": _INSIDE,
    "load.profile.ramp.from": _floor(
        "1/s", "the ramp begins with fewer requests", "the ramp begins with more requests"
    ),
    "load.profile.spike": _INSIDE,
    "load.profile.spike.to": _floor("1/s", "the spike is lower", "the spike is higher"),
    "load.profile.spike.length": _floor("s", "the spike is shorter", "the spike is longer"),
    "load.profile.trace": _unclear("another trace is sent"),
    "load.batch": Batch(),
    "load.batch.min": _IDENTITY,
    "load.batch.max": _IDENTITY,
    "load.batch.*": _IDENTITY,
    "load.p95": _limit("s", "slower answers pass", "slow answers fail earlier"),
    "load.p99": _limit("s", "slower answers pass", "slow answers fail earlier"),
    "load.error_rate": _limit("share", "more errors pass", "fewer errors pass"),
    "load.confidence": _floor("share", "less evidence is enough", "more evidence is needed"),
    "load.max_memory_growth": _limit("bytes", "servers that leak more pass", "servers must leak less"),
    "load.max_drift": _limit("", "servers that become slower pass", "servers must stay quicker"),
    "load.max_ratio_to_champion": _limit(
        "", "answers slower than the champion's pass", "answers must be closer to the champion's"
    ),
    "load.workers": _other("another number of processes sends"),
    "load.find_capacity": _other("the highest rate is reported or not, and never judged"),
    "load.locustfile": Named(
        added=(_UNCLEAR, "unclear which way: a file of one's own decides what is sent"),
        removed=(_UNCLEAR, "unclear which way: mlgate decides what is sent"),
    ),
    "load.locustfile.file": _unclear("another file decides what is sent"),
    "load.locustfile.users": _floor("", "fewer users at once are enough", "more users at once must be served"),
    "load.locustfile.spawn_rate": _floor("1/s", "users come more slowly", "users come more quickly"),
    "evidence.max_age": _limit("s", "older evidence admits", "old evidence is refused earlier"),
    "evidence.signers": Signers(),
    "evidence.signers.*": OnList(
        added=(_WEAKER, "evidence signed by another one admits as well"),
        removed=(_STRICTER, "evidence signed by it no longer admits"),
    ),
    "evidence.signers.*.gitlab": _IDENTITY,
    "evidence.signers.*.project_path": _IDENTITY,
    "evidence.signers.*.ref": _IDENTITY,
    "evidence.signers.*.ref_protected": Ranked(
        ranks={False: 0, True: 1},
        weaker="evidence that does not say its ref was protected admits",
        stricter="evidence must say that its ref was protected",
    ),
    "evidence.signers.*.sha": _required(
        "any commit of the ref may sign", "only this commit may sign", "another commit may sign"
    ),
    "evidence.signers.*.trust_root": _IDENTITY,
    "evidence.signers.*.expires": Expires(),
    "evidence.signers.*.revoked": _REVOKED,
    "evidence.waivers": _INSIDE,
    "evidence.waivers.*": OnList(
        added=(_WEAKER, "it may waive checks that do not pass"),
        removed=(_STRICTER, "a check that it waived stands again"),
    ),
    "evidence.waivers.*.expires": Expires(),
    "evidence.waivers.*.revoked": _REVOKED,
    "promotion.path": Path(),
    "evidence.digest_cache": Ranked(
        ranks={True: 0, False: 1},
        weaker="the store's word that nothing changed stands for the bytes",
        stricter="every byte is read at each gate",
    ),
    "evidence.rows": _other("other parts of the evaluation data are stored"),
}
