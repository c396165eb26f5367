import pytest

from mlgate.images.pins import asked_lines, patch_difference, pin_differences


@pytest.mark.parametrize(
    ("requirement", "pin"),
    [
        ("numpy==1.26.4", "numpy==1.26.4"),
        ("numpy", "numpy==9.9"),
        ("Scikit_Learn==1.5.0", "scikit-learn==1.5.0"),
        ("scikit-learn==1.5", "scikit-learn==1.5.0"),
        ("torch==2.0.0", "torch==2.0.0+cpu"),
        ("x~=1.4", "x==1.9"),
        ("x>=1", "x==2.0rc1"),
        ("x[extra]==1", "x==1"),
        ("six==1.16.0 --hash=sha256:ab", "six==1.16.0"),
    ],
)
def test_an_installed_version_that_satisfies_is_no_difference(requirement, pin):
    """By the rules of PEP 440, whatever the spelling."""
    assert pin_differences([requirement], [pin]) == ()


def test_a_version_that_does_not_satisfy_is_said_with_both_versions():
    """The line tells what to change."""
    assert pin_differences(["numpy==1.26.4"], ["numpy==2.1.0"]) == ("numpy: asked ==1.26.4, installed 2.1.0",)


def test_what_is_missing_is_said():
    """Not installed is not satisfied."""
    assert pin_differences(["numpy==1.26.4", "six"], []) == (
        "numpy: asked ==1.26.4, not installed",
        "six: asked any version, not installed",
    )


def test_a_requirement_for_other_environments_does_not_count():
    """Markers are those of the image's Python, not of this one."""
    lines = [
        "numpy==1.26.4; python_version < '3.9'",
        "x==1; python_full_version >= '3.8.18' and python_version < '3.9'",
    ]
    assert pin_differences(lines, [], python="3.11.2") == ()
    assert len(pin_differences(lines, [], python="3.8.19")) == 2


def test_something_installed_from_a_file_does_not_satisfy_a_version():
    """A path has no version to compare."""
    assert pin_differences(["x==1"], ["x @ file:///tmp/x"]) == ("x: asked ==1, installed file:///tmp/x",)


URL = "https://example.org/x-1.0-py3-none-any.whl"


@pytest.mark.parametrize(
    ("requirement", "pin"),
    [
        (f"x @ {URL}", f"x @ {URL}"),
        (f"x @ {URL}#sha256=ab", f"x @ {URL}"),
        ("x @ https://user:secret@example.org/x-1.0-py3-none-any.whl", f"x @ {URL}"),
        (URL, f"x @ {URL}"),
        ("x @ git+https://example.org/x.git@main", "x @ git+https://example.org/x.git@0123456789abcdef"),
        ("git+https://example.org/x.git#egg=x", "x @ git+https://example.org/x.git@0123456789abcdef"),
        ("-e git+https://example.org/x.git@main", "x @ git+https://example.org/x.git@0123456789abcdef"),
    ],
)
def test_what_was_installed_from_the_url_that_was_asked_for_is_no_difference(requirement, pin):
    """The installer writes the commit that a branch stood for."""
    assert pin_differences([requirement], [pin]) == ()


@pytest.mark.parametrize(
    ("requirement", "pins"),
    [
        (f"x @ {URL}", ["x==1.0"]),
        (f"x @ {URL}", ["x @ https://example.com/x-1.0-py3-none-any.whl"]),
        (URL, ["x==1.0"]),
        ("git+https://example.org/x.git", []),
    ],
)
def test_what_came_from_elsewhere_is_a_difference(requirement, pins):
    """The same version from an index is not what was asked for."""
    (difference,) = pin_differences([requirement], pins)
    assert requirement.split(" @ ")[-1] in difference


def test_no_credentials_of_a_url_are_repeated():
    """A difference ends up in a report."""
    (difference,) = pin_differences(["x @ https://user:secret@example.org/x.whl"], ["x==1"])
    assert "secret" not in difference


def test_a_comment_or_a_continuation_hides_no_difference():
    """They are read as the installer reads them."""
    lines = [
        "numpy==1.26.4  # for the old pickle",
        "six==1.16.0 \\",
        "    --hash=sha256:ab",
        "--pre",
        "-c constraints.txt",
    ]
    assert pin_differences(lines, ["numpy==2.1.0", "six==1.17.0"]) == (
        "numpy: asked ==1.26.4, installed 2.1.0",
        "six: asked ==1.16.0, installed 1.17.0",
    )
    assert len(asked_lines(lines)) == 2


def test_another_patch_of_python_is_said_and_the_same_is_not():
    """Nothing is said, either, where none was asked for."""
    assert patch_difference("3.11.8", "3.11.2") == "Python 3.11.8 asked, 3.11.2 used: the patch differs"
    assert patch_difference("3.11.2", "3.11.2") == patch_difference("", "3.11.2") == ""
