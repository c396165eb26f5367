"""What was tested, in what and by what: the facts of an evidence, as ready text. Pure."""

from dataclasses import dataclass

from mlgate.evidence import Evidence, ImageFacts
from mlgate.quantities import format_number, format_size
from mlgate.report import words
from mlgate.report.text import clean, one_line
from mlgate.report.view import Block, Caps, champion_text, listing, named, took, when


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """A term and its value; *code* where the value is to be copied, such as a digest."""

    term: str
    value: str
    code: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FactGroup:
    """Facts under one heading, and what is too long for a line."""

    title: str
    facts: tuple[Fact, ...]
    blocks: tuple[Block, ...] = ()


def fact_groups(evidence: Evidence, digest: str, caps: Caps) -> list[FactGroup]:
    """Return every fact that the evidence holds; what it does not hold is said, not left out.

    Args:
        evidence: The evidence.
        digest: Its digest, which takes time over megabytes of details.
        caps: How much to show.
    """
    groups = [
        _model(evidence, caps),
        _champion(evidence),
        _image(evidence, caps),
        _sandbox(evidence),
        _data(evidence),
        _policy(evidence, caps),
        _run(evidence, digest, caps),
    ]
    return [_without_empty(group) for group in groups]


def _model(evidence: Evidence, caps: Caps) -> FactGroup:
    subject = evidence.subject
    size = sum(entry.size for entry in subject.files)
    lines = [f"{entry.path}  {format_size(entry.size)}  {entry.sha256}" for entry in subject.files[: caps.listing + 1]]
    # `listing` counts what is left out, so it is handed as many items as there are.
    files = listing(lines + [""] * (len(subject.files) - len(lines)), caps)
    return FactGroup(
        title="Model version",
        facts=(
            Fact(term="Artifact digest", value=subject.artifact_digest, code=True),
            Fact(term="Files", value=f"{format_number(len(subject.files))} ({format_size(size)})"),
            Fact(term="Registered as", value=subject.name or "not registered"),
            Fact(term="Version", value=subject.version or "none: not a version in the registry"),
            Fact(term="Logged model", value=subject.model_id or "", code=True),
            Fact(term="Source run", value=subject.source_run_id or "", code=True),
        ),
        blocks=(Block(title="Files with digests", text=files),) if files else (),
    )


def _champion(evidence: Evidence) -> FactGroup:
    champion = evidence.champion
    digest = champion.artifact_digest if champion else ""
    return FactGroup(
        title="Champion",
        facts=(
            Fact(term="Compared with", value=champion_text(evidence)),
            Fact(term="Artifact digest", value=digest, code=True),
        ),
    )


def _image(evidence: Evidence, caps: Caps) -> FactGroup:
    image = evidence.image
    if image is None:
        return FactGroup(title="Image", facts=(Fact(term="Image", value="none on record"),))
    blocks = [Block(title=f"Pins ({len(image.pins)})", text=listing(image.pins, caps))] if image.pins else []
    if image.apt:
        blocks.append(Block(title=f"System packages ({len(image.apt)})", text=listing(image.apt, caps)))
    return FactGroup(
        title="Image",
        facts=(
            Fact(term="Recipe digest", value=image.recipe_digest, code=True),
            Fact(term="Origin", value=_origin(image)),
            Fact(term="Image digest", value=image.image_digest, code=True),
            Fact(term="Registry digest", value=image.registry_digest, code=True),
            Fact(term="Model in the image", value=image.model_digest, code=True),
            Fact(term="Base", value=image.base, code=True),
            Fact(term="Base digest", value=image.base_digest, code=True),
            Fact(term="Python", value=image.python),
            Fact(term="Platform", value=image.platform),
            Fact(term="Server", value=image.server),
            Fact(
                term="Predict threads", value=format_number(image.threads) if image.threads else "as the image has it"
            ),
        ),
        blocks=tuple(blocks),
    )


def _origin(image: ImageFacts) -> str:
    if image.origin == "built":
        return ""
    return "given" if image.model_digest else "given; NOT VERIFIED: no model was found in it"


def _sandbox(evidence: Evidence) -> FactGroup:
    sandbox = evidence.sandbox
    if sandbox is None:
        return FactGroup(title="Sandbox", facts=(Fact(term="Sandbox", value="none on record"),))
    return FactGroup(
        title="Sandbox",
        facts=(
            Fact(term="Kind", value="process (NOT ISOLATED)" if words.not_isolated(evidence) else sandbox.kind),
            Fact(term="Engine", value=sandbox.engine),
            Fact(term="CPUs", value=format_number(sandbox.cpus)),
            Fact(term="Memory", value=format_size(sandbox.memory)),
            Fact(term="Network", value=sandbox.network),
            Fact(term="Host", value=sandbox.host),
        ),
    )


def _data(evidence: Evidence) -> FactGroup:
    data = evidence.data
    if data is None:
        return FactGroup(
            title="Evaluation data", facts=(Fact(term="Source", value="none: accuracy was not judged on data"),)
        )
    return FactGroup(
        title="Evaluation data",
        facts=(
            Fact(term="Source", value=data.source, code=True),
            Fact(term="Digest", value=data.digest, code=True),
            Fact(term="Rows", value=format_number(data.rows)),
        ),
    )


def _policy(evidence: Evidence, caps: Caps) -> FactGroup:
    policy = evidence.policy
    text = clean(policy.text, caps.policy)
    return FactGroup(
        title="Policy",
        facts=(Fact(term="Digest", value=policy.digest, code=True),),
        blocks=(Block(title="Policy as it stood", text=text),) if text.strip() else (),
    )


def _run(evidence: Evidence, digest: str, caps: Caps) -> FactGroup:
    tool = evidence.tool
    blocks = []
    if tool.packages:
        blocks.append(Block(title=f"Packages that measured ({len(tool.packages)})", text=named(tool.packages, caps)))
    if evidence.ci:
        blocks.append(Block(title="Pipeline", text=named(evidence.ci, caps)))
    return FactGroup(
        title="Run",
        facts=(
            Fact(term="Started", value=when(evidence.started_at)),
            Fact(term="Finished", value=when(evidence.finished_at)),
            Fact(term="Took", value=took(evidence)),
            Fact(term="Complete", value="yes" if evidence.complete else "no: PARTIAL"),
            Fact(term="Seed", value=str(evidence.seed), code=True),
            Fact(term="mlgate", value=tool.mlgate),
            Fact(term="Python", value=tool.python),
            Fact(term="Evidence digest", value=digest, code=True),
        ),
        blocks=tuple(blocks),
    )


def _without_empty(group: FactGroup) -> FactGroup:
    # A fact is an identifier, an address or a number: 300 characters hold any of them.
    shown = [Fact(term=fact.term, value=one_line(fact.value, 300), code=fact.code) for fact in group.facts]
    return FactGroup(title=group.title, facts=tuple(fact for fact in shown if fact.value), blocks=group.blocks)
