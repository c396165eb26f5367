import pytest

from mlgate.images.pins import pin_differences


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
