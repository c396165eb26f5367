"""--mlgate-image: not built yet."""


def test_an_image_is_refused_as_not_built_yet(gated):
    """An option that is accepted and ignored would test another image than was asked for."""
    assert "--mlgate-image is not built yet" in gated.refusal(gated.run("--mlgate-image", "churn:3"))
