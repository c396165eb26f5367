import pytest

from mlgate.errors import EngineError, InstallError
from mlgate.images.uv import ca_bundle, complaint, index_settings

UNSATISFIABLE = """Using Python 3.11.2 environment at: /opt/venv
error: No solution found when resolving dependencies
  cause: Because there is no version of numpy==99.0 and you require numpy==99.0, we can conclude that your requirements are unsatisfiable.
"""
UNKNOWN = """error: No solution found when resolving dependencies
  cause: Because nosuch was not found in the package registry and you require nosuch==1.0, we can conclude that your requirements are unsatisfiable.
"""
DRAWN = """  \N{MULTIPLICATION SIGN} No solution found when resolving dependencies:
  ╰─▶ Because numpy==99.0 has no version, we can conclude that your
      requirements are unsatisfiable.
"""
BUILD = """error: Failed to build `sklearn==0.0.post12`
  cause: The build backend returned an error
  cause: Call to `setuptools.build_meta:__legacy__.get_requires_for_build_wheel` failed (exit status: 1)

         [stderr]
         OSError: Connection refused: error sending request; No space left on device (os error 28)

hint: Build failures usually indicate a problem with the package or the build environment
"""
HASH = """error: Failed to download `six==1.16.0`
  cause: Hash mismatch for `six==1.16.0`
"""
REFUSED = """error: Request failed after 3 retries in 4.4s
  cause: Failed to fetch: http://127.0.0.1:9/simple/six/
  cause: error sending request for url (http://127.0.0.1:9/simple/six/)
  cause: client error (Connect)
  cause: tcp connect error
  cause: Connection refused (os error 111)
"""
DNS = """error: Request failed after 3 retries in 5.6s
  cause: Failed to fetch: http://user:secret@nosuch.invalid/simple/six/
  cause: dns error
  cause: failed to lookup address information: Name or service not known
"""
TLS = """error: Failed to fetch: https://index.example/simple/six/
  cause: error sending request for url (https://index.example/simple/six/)
  cause: invalid peer certificate: UnknownIssuer
"""
DISK = """error: Failed to install: numpy-2.4.6-cp311-cp311-manylinux_2_28_x86_64.whl (numpy==2.4.6)
  cause: failed to copy file from /a to /b: No space left on device (os error 28)
"""
UNAVAILABLE = """error: Request failed after 3 retries in 10.3s
  cause: HTTP status server error (503 Service Unavailable) for url (http://127.0.0.1:8999/a/six/)
"""
UNAUTHORIZED = """error: No solution found when resolving dependencies
  cause: Because six was not found in the package registry and you require six==1.16.0, we can conclude that your requirements are unsatisfiable.

hint: An index URL (http://127.0.0.1:8999/b/) could not be queried due to a lack of valid authentication credentials (401 Unauthorized)
"""
FORBIDDEN = """error: No solution found when resolving dependencies
  cause: Because six was not found in the package registry and you require six==1.16.0, we can conclude that your requirements are unsatisfiable.

hint: An index (http://127.0.0.1:8999/c/) returned a 403 Forbidden error. Check that the index URL is correct and the credentials are valid.
"""
BUILD_DEPENDENCY = """error: Failed to build `x==1.0`
  cause: Failed to resolve requirements from `build-system.requires`
  cause: Request failed after 3 retries in 4.4s
  cause: Failed to fetch: http://127.0.0.1:9/simple/setuptools/
"""


@pytest.mark.parametrize(
    ("output", "word"),
    [(UNSATISFIABLE, "numpy==99.0"), (UNKNOWN, "nosuch"), (DRAWN, "numpy==99.0"), (BUILD, "sklearn"), (HASH, "six")],
)
def test_what_the_requirement_is_to_blame_for_fails_the_version_by_name(output, word):
    """Also where a build backend's own output speaks of networks and disks."""
    error = complaint(output, 1)
    assert isinstance(error, InstallError)
    assert word in error.message
    assert error.log in output


@pytest.mark.parametrize("output", [REFUSED, DNS, TLS, DISK, UNAVAILABLE, UNAUTHORIZED, FORBIDDEN, BUILD_DEPENDENCY])
def test_what_the_environment_is_to_blame_for_never_fails_the_version(output):
    """Also where uv calls a package unsatisfiable because an index refuses the credentials."""
    assert isinstance(complaint(output, 1), EngineError)


@pytest.mark.parametrize("output", ["", "thread 'main' panicked", "error: something new"])
def test_what_is_not_understood_never_fails_the_version(output):
    """It is said, and can be tried again."""
    assert isinstance(complaint(output, 2), EngineError)


def test_an_installer_that_was_killed_is_the_environments():
    """The kernel kills for memory with SIGKILL."""
    assert isinstance(complaint(UNSATISFIABLE, 137), EngineError)


def test_credentials_in_urls_are_not_repeated():
    """Messages end up in logs and reports."""
    assert "secret" not in complaint(DNS, 1).message


def test_only_index_proxy_and_timeouts_of_the_host_are_passed_on():
    """The build runs strangers' code."""
    environ = {"UV_INDEX_URL": "https://a.example/simple", "HTTPS_PROXY": "http://p", "https_proxy": "http://q"}
    others = {"AWS_SECRET_ACCESS_KEY": "x", "MLFLOW_TRACKING_TOKEN": "y", "UV_PUBLISH_TOKEN": "z", "PATH": "/bin"}
    assert index_settings(environ | others) == environ


def test_pips_settings_count_where_uvs_are_absent():
    """Most hosts are configured for pip."""
    pip = {"PIP_INDEX_URL": "https://a.example/simple", "PIP_EXTRA_INDEX_URL": "https://b.example/simple"}
    assert index_settings(pip) == {
        "UV_DEFAULT_INDEX": "https://a.example/simple",
        "UV_EXTRA_INDEX_URL": "https://b.example/simple",
    }
    assert index_settings(pip | {"UV_DEFAULT_INDEX": "https://c.example", "UV_INDEX": "https://d.example"}) == {
        "UV_DEFAULT_INDEX": "https://c.example",
        "UV_INDEX": "https://d.example",
    }


def test_indexes_on_the_hosts_disk_are_left_out():
    """No container could read them."""
    assert index_settings({"UV_INDEX": "file:///opt/a https://a.example", "PIP_INDEX_URL": "file:///opt/b"}) == {
        "UV_INDEX": "https://a.example"
    }


def test_the_certificate_bundle_is_found_under_any_of_its_names():
    """Each tool has its own variable for it."""
    assert ca_bundle({"PIP_CERT": "/a.pem"}) == "/a.pem"
    assert ca_bundle({}) is None
