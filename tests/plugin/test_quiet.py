"""What a run says is about the model."""

import warnings


def test_what_a_library_tells_its_own_authors_is_not_shown(gated, monkeypatch):
    """MLflow over SQLAlchemy did, as the first lines of every run on a database."""
    resolve = gated.world.registry.resolve

    def noisy(uri):
        warnings.warn("the noload loader is deprecated", DeprecationWarning, stacklevel=1)
        return resolve(uri)

    monkeypatch.setattr(gated.world.registry, "resolve", noisy)
    with warnings.catch_warnings(record=True) as shown:
        assert gated.run("--mlgate-suite", "schema").ret == 0
    assert [one for one in shown if "noload" in str(one.message)] == []
