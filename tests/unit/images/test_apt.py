from mlgate.images.apt import apt_complaint, apt_script


def test_a_mirror_that_is_busy_is_asked_again():
    """For the list and for the packages; the certificates are named to both."""
    script = apt_script(["libgomp1=12.2.0-14"], ca="/a b.pem")
    assert script.count("-o Acquire::Retries=3 -o Acquire::https::CAInfo='/a b.pem' -q ") == 2
    assert "CAInfo" not in apt_script(["libgomp1"], ca=None)


def test_a_complaint_holds_the_reason_which_stands_below():
    """And not what follows it."""
    output = "Get:1 x\nErr:2 http://deb.example bookworm libgomp1\n  503  Service Unavailable\nFetched 1 B\nE: Failed\n"
    said = apt_complaint(["libgomp1"], output).message
    assert said == "apt can not install libgomp1: Err:2 http://deb.example bookworm libgomp1 503  Service Unavailable"
    assert apt_complaint(["x"], "E: Unable to locate package x\nE: more\n").message.endswith(
        ": E: Unable to locate package x"
    )
    assert apt_complaint(["x"], "").message.endswith(": no reason given")
