"""Who may import what (design §3). A rule that no test holds decays."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
STDLIB = sys.stdlib_module_names
# What turns evidence into a decision, and what measures it: no I/O libraries, no SDK.
PURE = {
    "quantities", "check_id", "typed_json", "evidence", "model_version", "verdict", "gate", "errors", "policy",
    "statistics", "serving.v2_request", "scoring.payloads", "scoring.protocols", "scoring.v2", "scoring.answers", "scoring.equality",
    "waivers", "attest.waiver", "compatibility", "scoring.bad_requests", "scoring.wrong_values", "scoring.encodings", "scoring.leaks", "scoring.no_rows", "scoring.params",
    "evaluation.evidence_details", "evaluation.sample", "evaluation.answer_batch", "evaluation.answer_columns", "evaluation.conformance", "evaluation.mapping_check",
    "evaluation.rows", "evaluation.metrics", "evaluation.comparison", "evaluation.outputs",
    "evaluation.metrics.catalogue", "evaluation.metrics.counts", "evaluation.metrics.coverage", "evaluation.metrics.losses", "evaluation.metrics.ranking", "evaluation.metrics.shares", "evaluation.metrics.squares", "evaluation.metrics.tables",
    "evaluation.metrics.auc", "evaluation.metrics.calibration", "evaluation.metrics.curves", "evaluation.metrics.order", "evaluation.metrics.custom", "evaluation.metrics.resampled",
    "evaluation.metric_names", "evaluation.metrics.interface", "evaluation.slice_expression", "evaluation.slice_spec", "evaluation.slices", "evaluation.gaps", "evaluation.weak_slices", "evaluation.holdout",
    "evaluation.plan", "evaluation.judgement", "evaluation.judgement.floors", "evaluation.judgement.measure", "evaluation.judgement.regression",
    "evaluation.judgement.sides", "evaluation.judgement.summary", "policy_accuracy", "policy_properties", "policy_schema", "policy_section",
    "failure", "regressions", "generation", "generation.choice", "generation.columns", "generation.coverage", "generation.datetimes", "generation.domain", "generation.input_space", "generation.interface", "generation.known", "generation.nested", "generation.number", "generation.order", "generation.pairs", "generation.params", "generation.pattern", "generation.rebuilt", "generation.relation", "generation.rules", "generation.shared", "generation.tensor", "generation.tensors", "generation.text", "generation.unit", "property_check", "scoring.output_place",
    "load.schedule", "load.samples", "load.tally", "load.usage", "load.cores", "load.calibration", "load.capacity", "load.early", "load.series", "load.progress", "load.arrivals", "load.requests",
    "load.judgement", "load.judgement.bounds", "load.judgement.causes", "load.judgement.drift", "load.judgement.health", "load.judgement.limits", "load.judgement.memory", "load.judgement.rate", "load.judgement.regression", "load.judgement.words", "load.plan", "load.answers", "policy_load", "images.recipe", "images.requirements", "images.apt", "images.archive", "images.pins", "images.facts", "images.given", "images.labels", "images.reference", "registry.interface", "registry.tags", "registry.mlflow_webhook",
    "cold_start", "cold_start.timeline", "cold_start.judgement", "sandbox.boot_facts", "sandbox.interface", "sandbox.limits", "sandbox.clock", "sandbox.reach", "artifacts.signature",
    "attest.untrusted", "attest.keys", "attest.signers", "attest.dsse", "attest.verification", "attest.root_digest", "attest.statement", "attest.agreement", "attest.acceptance", "attest.directory", "policy_rules", "policy_rules_own", "policy_directions", "policy_diff",
}  # fmt: skip
# The few packages that a pure module may use, and the one reason for each.
PURE_MAY = {
    "numpy": None,
    "scipy": None,
    "hypothesis": {"generation.pattern"},  # draws texts that match a pattern, and does no more
    "hdrh": {"load.tally"},  # a histogram is arithmetic
    "rfc8785": {"evidence", "attest.statement", "attest.waiver"},  # canonical JSON is a format, not a service
    "cryptography": {"attest.keys"},  # signing is arithmetic; only a new key takes randomness
    "packaging": {"images.recipe", "images.requirements", "images.pins"},  # PEP 440 and 508 are formats too
    "pydantic": {
        "policy",
        "policy_accuracy",
        "policy_load",
        "policy_properties",
        "policy_schema",
        "policy_section",
    },  # the one place where text comes in
}
# Each SDK has its adapters; anywhere else it would leak its types.
SDKS = {
    "mlflow": {"registry.mlflow", "registry.mlflow_capabilities", "registry.mlflow_flat", "registry.mlflow_inputs", "registry.mlflow_pace", "serving.__main__", "serving.mlserver", "demo.training", "demo.models.log_of_years", "demo.models.needs_statsmodels"},
    "docker": {
        "images.docker", "images.build_container", "sandbox.engine", "sandbox.container", "sandbox.watchdog", "sandbox.front", "sandbox.hardened", "sandbox.cgroup", "sandbox.model_volume", "sandbox.shared_files",
        "sandbox.given", "sandbox.enclosure", "images.inspection", "images.commit", "images.built", "images.deployable", "images.push", "images.storage",
    },
    "testcontainers": {"sandbox.hardened"},
    "mlserver": {"serving.mlserver"},
    "mlserver_mlflow": {"serving.mlserver"},
    "kubernetes": set(),
    "onnxruntime": set(),
    "locust": {"load.generator.locustfile", "load.generator.open_loop", "load.generator.closed_loop", "load.generator.client", "load.generator.master", "load.generator.worker", "load.generator.recorder"},
    "gevent": {"load.generator.locustfile", "load.generator.open_loop", "load.generator.closed_loop", "load.generator.client", "load.generator.master", "load.generator.worker", "load.generator.parent", "load.generator.recorder"},
    "geventhttpclient": {"load.generator.client"},
    "ray": {"evaluation.engines.ray_driver"},
    "cryptography": {"attest.keys"},
    "pytest": set(),
    "hypothesis": {"generation.pattern"},
}  # fmt: skip


def modules(root: str, package: str) -> Iterator[tuple[str, Path]]:
    """Yield dotted name below *package*, and file."""
    base = ROOT / root / package if root else ROOT / package
    for path in sorted(base.rglob("*.py")):
        yield ".".join(path.relative_to(base).with_suffix("").parts).removesuffix(".__init__"), path


def imports(path: Path) -> Iterator[str]:
    """Yield every module that a file imports, but for type checking only."""
    tree = ast.parse(path.read_text())
    hidden = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if node in hidden:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "." * node.level + (node.module or "")


MLGATE = dict(modules("", "mlgate"))


def is_pure(name: str) -> bool:
    """Whether the rule for pure modules holds for *name*."""
    return name in PURE or any(name.startswith(f"{part}.") for part in PURE if part == "statistics")


@pytest.mark.parametrize("name", sorted(name for name in MLGATE if is_pure(name)))
def test_a_pure_module_imports_only_pure_modules(name):
    """Standard library, numpy and scipy, and each other."""
    for imported in imports(MLGATE[name]):
        top = imported.partition(".")[0]
        if top == "mlgate":
            inner = imported.removeprefix("mlgate.")
            assert is_pure(inner), f"{name} imports {imported}, which is not pure"
        elif top not in STDLIB:
            allowed = PURE_MAY.get(top, set())
            assert allowed is None or name in allowed, f"{name} imports {imported}"


def test_every_pure_module_exists():
    """A name that is misspelt in the table above would be held to nothing."""
    assert {name for name in PURE if name not in MLGATE} == set()


@pytest.mark.parametrize("sdk", sorted(SDKS))
def test_an_sdk_appears_in_its_adapters_only(sdk):
    """One place to change when the SDK does."""
    found = {name for name, path in MLGATE.items() if any(i.partition(".")[0] == sdk for i in imports(path))}
    assert found <= SDKS[sdk], f"{sdk} is imported in {sorted(found - SDKS[sdk])}"


def test_what_serves_inside_the_image_imports_nothing_else_of_mlgate():
    """Only that folder is copied into the image."""
    for name, path in MLGATE.items():
        if name.startswith("serving"):
            assert not [i for i in imports(path) if i.startswith(("mlgate", ".."))], name


def test_the_library_imports_neither_plugin_nor_suites():
    """The arrow points one way."""
    for name, path in MLGATE.items():
        tops = {imported.partition(".")[0] for imported in imports(path)}
        assert not tops & {"pytest_mlgate", "mlgate_suites"}, name


def test_the_suites_import_only_public_names_of_mlgate_and_not_the_plugin():
    """A stranger's suite must be able to do everything that ours do."""
    allowed = STDLIB | {"mlgate", "mlgate_suites", "pytest", "hypothesis", "numpy"}
    for name, path in modules("suites", "mlgate_suites"):
        for imported in imports(path):
            assert imported.partition(".")[0] in allowed, f"{name} imports {imported}"
            assert not any(part.startswith("_") for part in imported.split(".") if part != "__init__"), imported


def test_there_is_no_import_cycle_in_the_library():
    """Modules can be read one after another."""
    graph = {
        f"mlgate.{name}": {i for i in imports(path) if i.startswith("mlgate.")} for name, path in MLGATE.items() if name
    }
    done: set[str] = set()

    def visit(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, " → ".join([*path[path.index(module) :], module])
        if module not in done:
            for imported in graph.get(module, ()):
                visit(imported, (*path, module))
            done.add(module)

    for module in graph:
        visit(module, ())


HEAVY = (
    "mlflow",
    "pandas",
    "numpy",
    "docker",
    "kubernetes",
    "hypothesis",
    "locust",
    "gevent",
    "scipy",
    "pyarrow",
    "pydantic",
    "ray",
    "cryptography",
)


def loaded_by(code: str) -> set[str]:
    """Return which heavy packages a fresh interpreter holds after *code*."""
    script = f"{code}\nimport sys\nprint([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)
    return set(ast.literal_eval(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize(
    "code",
    [
        "import mlgate",
        "import pytest_mlgate.plugin",
        "import mlgate.cli.app",
        "import sys; sys.argv = ['mlgate', '--help']\nfrom mlgate.cli.app import run\nrun(['--help'])",
    ],
)
def test_what_everybody_pays_for_loads_nothing_heavy(code):
    """A plugin that is installed and not used, and a help text, cost next to nothing."""
    assert loaded_by(code) == set()
