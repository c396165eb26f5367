import pytest

from mlgate.errors import InstallError
from mlgate.images.requirements import constraint_names, logical_lines, needs_git, vet

# What the policy can let through, line by line.
REFUSED = [
    "-e git+https://example.org/x.git",
    "git+https://example.org/x.git@main",
    "x @ git+https://example.org/x.git",
    "git+ssh://git@example.org/x.git",
    "https://example.org/x-1.0.tar.gz",
    "x @ https://example.org/x-1.0.tar.gz",
    "https://example.org/x-1.0.tar.gz --hash=sha256:00",
    "--index-url https://example.org/simple",
    "--extra-index-url=https://example.org/simple",
    "--find-links https://example.org/wheels",
    "--pre",
    "--no-binary :all:",
    "-i https://example.org/simple",
    "-ihttps://example.org/simple",
    "numpy==1.0 --index-url https://example.org/simple",
    "numpy==1.0 --global-option=--evil",
]
# What no policy can: there is nothing that the installer could do with it.
NEVER = [
    "-e .",
    "-e ./src",
    "-e src",
    "x @ file:///tmp/x.whl",
    "x @ ./x.whl",
    "./x-1.0-py3-none-any.whl",
    "code/x-1.0-py3-none-any.whl",
    "x-1.0-py3-none-any.whl",
    "file:///tmp/x.whl",
    "/tmp/x",
    "..",
    "-r other.txt",
    "--requirement=other.txt",
    "--find-links /tmp",
    "--find-links=file:///tmp",
    "-f wheels",
    "--index-url file:///tmp/simple",
    "hg+https://example.org/x",
    "-e svn+https://example.org/x",
    "numpy==${VERSION}",
    "--extra-index-url https://example.org/${UV_INDEX_CORP_PASSWORD}/simple",
    "numpy==1.0; rm -rf /",
    "numpy==1.0 && true",
]


def refusal(line, **options) -> str:
    """Return the message that the second line of a file is refused with."""
    with pytest.raises(InstallError) as caught:
        vet(["mlflow==3.1.0", *line.split("\n")], python="3.11", **options)
    assert "requirements.txt:2" in caught.value.message
    return caught.value.message


@pytest.mark.parametrize("line", [*REFUSED, *NEVER])
def test_a_line_that_would_fetch_or_run_something_else_is_refused_by_name(line):
    """Only names and versions reach the installer."""
    assert line in refusal(line)


@pytest.mark.parametrize("line", REFUSED)
def test_a_line_that_the_policy_lists_is_let_through_and_no_other_is(line):
    """One by one, word for word."""
    vetted = vet(["mlflow==3.1.0", line], python="3.11", allow=[line, "not-in-the-file"])
    assert vetted.named == ("mlflow==3.1.0",)
    assert vetted.allowed == (line.removeprefix("-e "),)
    assert line in refusal(line, allow=[f"{line}x", line[:-1]])


@pytest.mark.parametrize("line", NEVER)
def test_a_line_that_can_not_work_in_a_container_is_refused_even_so(line):
    """With the reason: the policy can not make the file appear."""
    message = refusal(line, allow=[line])
    assert any(word in message for word in ("local path", "not a requirement", "variables", "git only"))


def test_lines_are_compared_without_comments_and_with_single_spaces():
    """Nobody sees the difference in a diff."""
    lines = ["mlflow", "  --extra-index-url   https://example.org/simple  # ours"]
    assert vet(lines, python="3.11", allow=["--extra-index-url https://example.org/simple # why"]).allowed == (
        "--extra-index-url https://example.org/simple",
    )


@pytest.mark.parametrize(
    "line",
    [
        "six==1.16.0 \\\n--index-url https://example.org/simple",
        "--index-url \\\n  https://example.org/simple",
        "six \\",
    ],
)
def test_a_continuation_hides_nothing(line):
    """It is read as the installer would read it."""
    first = line.split("\n", maxsplit=1)[0].removesuffix("\\").strip()
    assert first in refusal(line)


def test_a_continued_line_is_allowed_by_what_it_says():
    """As it stands in the file, or on one line."""
    line = "--index-url \\\n  https://example.org/simple"
    for entry in (line, "--index-url https://example.org/simple"):
        found = vet(["mlflow", *line.split("\n")], python="3.11", allow=[entry])
        assert found.allowed == ("--index-url https://example.org/simple",)


def test_hashes_on_continued_lines_are_read():
    """As `pip-compile --generate-hashes` writes them."""
    digest = "8abb2f1d86890a2dfb989f9a77cfcfd3e47c2a354b01111771326f8aa26e0254"
    lines = [
        "mlflow==3.1.0",
        "six==1.16.0 \\",
        f"    --hash=sha256:{digest} \\",
        f"    --hash=sha256:{digest}",
        "numpy",
    ]
    assert vet(lines, python="3.11").named == (
        "mlflow==3.1.0",
        f"six==1.16.0 --hash=sha256:{digest} --hash=sha256:{digest}",
        "numpy",
    )
    assert [number for number, _ in logical_lines(lines)] == [1, 2, 5]


def test_comments_and_blank_lines_are_dropped():
    """What is left is what was asked for; a comment does not go on in the next line."""
    lines = [
        "# all of it",
        "",
        "  mlflow==3.1.0  # the server \\",
        "\t",
        "pandas[performance]>=2,<3; python_version >= '3.9'",
    ]
    assert vet(lines, python="3.11").named == ("mlflow==3.1.0", "pandas[performance]>=2,<3; python_version >= '3.9'")


@pytest.mark.parametrize(
    "line",
    [
        "torch==2.3.0+cu121",
        "jaxlib==0.4.30+cuda12.cudnn89",
        "torch==2.3.0+rocm6.0",
        "cupy-cuda12x==13.0",
        "cupy",
        "cudf-cu12==24.4",
        "cuml",
        "onnxruntime-gpu==1.17",
        "ONNXRuntime_GPU",
        "tensorflow-gpu==2.10",
        "tensorrt",
        "tensorrt-cu12",
        "faiss-gpu-cu12",
        "jax[cuda12]==0.4.30",
        "mxnet-cu112",
    ],
)
def test_a_requirement_that_needs_a_gpu_is_refused_in_one_line(line):
    """It would install and then fail to load, an hour later and in other words."""
    assert "needs a GPU" in refusal(line)
    assert vet(["mlflow", line], python="3.11", allow=[line]).named == ("mlflow", line)


@pytest.mark.parametrize(
    "line",
    [
        "torch==2.3.0",
        "torch==2.3.0+cpu",
        "nvidia-cublas-cu12==12.1.3.1",
        "nvidia-nccl-cu12",
        "tensorflow==2.16",
        "tensorflow-cpu",
        "onnxruntime",
        "xgboost",
        "jax[cpu]",
        "cucumber-tag-expressions",
        "tensorrtx",
        "faiss-cpu",
        "cupy==13; sys_platform == 'win32'",
        "cupy==13; python_version < '3.10'",
    ],
)
def test_what_runs_on_a_cpu_is_not_taken_for_a_gpus(line):
    """Torch's own wheels bring nvidia packages along, and run without a device."""
    assert vet(["mlflow", line], python="3.11").named == ("mlflow", line)


def test_constraints_of_the_model_directory_are_taken_as_constraints():
    """MLflow writes them beside the requirements."""
    lines = ["mlflow==3.1.0", "-c constraints.txt"]
    files = {"constraints.txt": ["# bounds", "numpy<2  # old pickle", "pandas==2.2.2"]}
    vetted = vet(lines, python="3.11", constraint_files=files)
    assert (vetted.named, vetted.constraints) == (("mlflow==3.1.0",), ("numpy<2", "pandas==2.2.2"))
    assert constraint_names([*lines, "--constraint=more.txt  # x", "--constraint  a/b.txt", "-cx.txt"]) == (
        "constraints.txt",
        "more.txt",
        "a/b.txt",
        "x.txt",
    )


@pytest.mark.parametrize(
    "name", ["../constraints.txt", "/etc/constraints.txt", "https://example.org/c.txt", "nosuch.txt", "a/../../c.txt"]
)
def test_constraints_from_elsewhere_are_refused_whatever_the_policy_says(name):
    """Nothing outside the version's directory decides what is installed."""
    files = {"constraints.txt": ["numpy<2"]}
    assert "no file of the model directory" in refusal(f"-c {name}", constraint_files=files, allow=[f"-c {name}"])


@pytest.mark.parametrize("line", ["-r other.txt", "numpy @ https://example.org/n.whl", "-c more.txt", "--pre"])
def test_constraints_are_vetted_by_the_same_rules(line):
    """A second file is no way around them."""
    with pytest.raises(InstallError, match=r"constraints\.txt:2"):
        vet(["mlflow", "-c constraints.txt"], python="3.11", constraint_files={"constraints.txt": ["numpy<2", line]})


def test_a_constraint_file_that_names_itself_ends():
    """It names no other file; the lines of a constraint file can not pull in more."""
    with pytest.raises(InstallError):
        vet(["mlflow", "-c c.txt"], python="3.11", constraint_files={"c.txt": ["-c c.txt"]})


def test_only_what_is_fetched_with_git_needs_git():
    """A URL that holds the letters does not."""
    assert needs_git(["x @ git+https://example.org/x.git"])
    assert needs_git(["git+https://example.org/x.git"])
    assert not needs_git(["https://example.org/git+x.whl", "--extra-index-url https://git.example.org/simple"])
