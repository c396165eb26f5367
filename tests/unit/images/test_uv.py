import pytest

from mlgate.errors import EngineError, InstallError
from mlgate.images.apt import apt_complaint, apt_environment, apt_script
from mlgate.images.environment import with_pip_config
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


def test_a_full_disk_is_said_first():
    """What was being written when it ran full is of no use, and may be long."""
    assert complaint(DISK, 1).message.startswith("the disk is full")


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


def test_pips_other_settings_are_given_under_uvs_names():
    """Timeout, retries, links, proxy and hosts whose certificate does not count."""
    pip = {
        "PIP_DEFAULT_TIMEOUT": "180",
        "PIP_RETRIES": "7",
        "PIP_FIND_LINKS": "/opt/wheels https://a.example/wheels https://b.example/wheels",
        "PIP_TRUSTED_HOST": "a.example",
        "PIP_PROXY": "http://p:3128",
    }
    assert index_settings(pip) == {
        "UV_HTTP_TIMEOUT": "180",
        "UV_HTTP_RETRIES": "7",
        "UV_FIND_LINKS": "https://a.example/wheels,https://b.example/wheels",
        "UV_INSECURE_HOST": "a.example",
        "HTTP_PROXY": "http://p:3128",
        "HTTPS_PROXY": "http://p:3128",
    }
    assert index_settings({"PIP_PROXY": "http://p", "https_proxy": "http://q"}) == {"https_proxy": "http://q"}
    assert index_settings({"PIP_TIMEOUT": "9", "UV_REQUEST_TIMEOUT": "8"}) == {"UV_REQUEST_TIMEOUT": "8"}


def test_the_file_that_pip_is_told_to_read_counts_below_the_variables(tmp_path):
    """As for pip itself."""
    (tmp_path / "pip.conf").write_text(
        "[global]\nindex-url = https://a.example/simple\nextra-index-url =\n  https://b.example/simple\n"
        "  https://c.example/simple\ncert = /a.pem\n[install]\nretries = 2\n[list]\nformat = columns\n"
    )
    environ = {"PIP_CONFIG_FILE": str(tmp_path / "pip.conf"), "PIP_RETRIES": "3"}
    found = with_pip_config(environ)
    assert ca_bundle(found) == "/a.pem"
    assert index_settings(found) == {
        "UV_DEFAULT_INDEX": "https://a.example/simple",
        "UV_EXTRA_INDEX_URL": "https://b.example/simple https://c.example/simple",
        "UV_HTTP_RETRIES": "3",
    }
    with pytest.raises(EngineError, match="PIP_CONFIG_FILE"):
        with_pip_config({"PIP_CONFIG_FILE": str(tmp_path / "nosuch")})
    assert with_pip_config({"PIP_CONFIG_FILE": "/dev/null"})["PIP_CONFIG_FILE"] == "/dev/null"


def test_a_repository_that_does_not_answer_is_the_environments():
    """Also where git says so, and not uv."""
    for told in ("Could not resolve host: git.example.org", "Git executable not found. Ensure that Git is installed."):
        output = f"error: Failed to download and build `x @ git+https://git.example.org/x`\n  cause: fatal: {told}\n"
        assert isinstance(complaint(output, 1), EngineError)


def test_apt_gets_the_proxies_under_the_names_that_it_reads():
    """It knows the lower case only."""
    assert apt_environment({"HTTP_PROXY": "http://p", "no_proxy": "a", "NO_PROXY": "b", "UV_INDEX": "x"}) == {
        "http_proxy": "http://p",
        "no_proxy": "a",
    }


def test_apt_is_told_of_the_certificates_and_leaves_neither_lists_nor_logs():
    """And its status is that of the installation, not of the cleaning."""
    script = apt_script(("libgomp1", "git=1:2.39-1"), ca="/opt/ca.pem")
    assert script.count("-o Acquire::https::CAInfo=/opt/ca.pem") == 2
    assert "libgomp1 git=1:2.39-1" in script
    assert script.endswith("exit $status")
    assert "CAInfo" not in apt_script(("libgomp1",), ca=None)
    complained = apt_complaint(("x",), "Reading...\nE: Unable to locate package x\n")
    assert "E: Unable to locate package x" in complained.message
