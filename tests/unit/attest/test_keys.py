"""Keys: kept for their owner only, read strictly, and never shown."""

import hashlib
import os
import stat
import subprocess
import traceback
from datetime import date

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_public_key,
)

from mlgate.attest import key_files
from mlgate.attest.key_files import load_signing_key, read_signers, write_pair
from mlgate.attest.keys import KeyKind, KeyMaterialError, generate, read_private, read_public
from mlgate.attest.signers import MAX_SIGNER_BYTES, parse_signer

PASSPHRASE = "correct horse battery staple"
PKCS8, SPKI = PrivateFormat.PKCS8, PublicFormat.SubjectPublicKeyInfo
FOREIGN = [rsa.generate_private_key(65537, 2048), ec.generate_private_key(ec.SECP384R1())]


def secrets_of(key):
    """Every line of the private key that must not be seen anywhere."""
    return [line for line in key.pem(None).decode().splitlines() if not line.startswith("-----")]


def test_the_keyid_is_the_digest_of_the_public_key_in_der(key):
    """As cosign and openssl would compute it."""
    der = load_pem_public_key(key.public.pem()).public_bytes(Encoding.DER, SPKI)
    assert key.public.keyid == hashlib.sha256(der).hexdigest()


def test_a_pair_comes_back_from_its_pem(key):
    """Encrypted or not; what one half signs the other verifies."""
    for passphrase in (None, PASSPHRASE):
        again = read_private(key.pem(passphrase), passphrase=passphrase, name="k")
        assert again.public == key.public == read_public(key.public.pem(), name="p")
        assert key.public.verifies(again.sign(b"x"), b"x")
        assert not key.public.verifies(again.sign(b"x"), b"y")
        assert not key.public.verifies(b"", b"x")


def test_openssl_reads_both_halves(key, tmp_path):
    """Plain PKCS#8 and SubjectPublicKeyInfo, which every tool knows."""
    write_pair(key, private=tmp_path / "k.key", public=tmp_path / "k.pub", passphrase=PASSPHRASE)
    done = subprocess.run(
        ["openssl", "pkey", "-in", "k.key", "-passin", f"pass:{PASSPHRASE}", "-pubout"],
        cwd=tmp_path,
        capture_output=True,
        check=True,
    )
    assert done.stdout == (tmp_path / "k.pub").read_bytes()


def test_an_encrypted_key_wants_its_passphrase(key):
    """Said apart: none given, and a wrong one."""
    pem = key.pem(PASSPHRASE)
    assert b"ENCRYPTED" in pem
    with pytest.raises(KeyMaterialError, match=r"k is encrypted\. Hint: set MLGATE_KEY_PASSPHRASE"):
        read_private(pem, passphrase=None, name="k")
    with pytest.raises(KeyMaterialError, match="can not be decrypted"):
        read_private(pem, passphrase="wrong", name="k")


def test_a_key_of_another_kind_is_refused():
    """RSA and other curves: one kind more is one attack more."""
    for foreign in FOREIGN:
        with pytest.raises(KeyMaterialError, match="neither Ed25519 nor ECDSA over P-256"):
            read_private(foreign.private_bytes(Encoding.PEM, PKCS8, NoEncryption()), passphrase=None, name="k")
        with pytest.raises(KeyMaterialError, match="neither Ed25519 nor ECDSA over P-256"):
            read_public(foreign.public_key().public_bytes(Encoding.PEM, SPKI), name="p")


def test_a_private_key_on_the_list_of_signers_is_refused_and_not_shown(key):
    """The mistake that gives the key away must not be made worse."""
    with pytest.raises(KeyMaterialError, match=r"ci\.key holds a private key") as refused:
        parse_signer(key.pem(None), name="ci.key")
    assert not any(secret in str(refused.value) for secret in secrets_of(key))


def test_neither_repr_nor_error_nor_traceback_shows_a_key(key, monkeypatch):
    """`--debug` prints tracebacks, and a job's log is read by many."""
    secrets = [*secrets_of(key), PASSPHRASE]
    broken = key.pem(None).replace(b"MIG", b"AAA").replace(b"MC4", b"AAA").decode()
    headless = "".join(secrets_of(key))
    said = [repr(key), str(key), repr(key.public)]
    for given in (broken, headless, f"{headless}\0", headless * 100, broken.replace("\n", "\\n"), broken + broken):
        with pytest.raises(KeyMaterialError) as refused:
            load_signing_key({"MLGATE_SIGNING_KEY": given, "MLGATE_KEY_PASSPHRASE": PASSPHRASE})
        said.append("".join(traceback.format_exception(refused.value)))
        said.append(repr(refused.value.args))
    with pytest.raises(KeyMaterialError) as refused:
        read_private(key.pem("another"), passphrase=PASSPHRASE, name="k")
    said.append("".join(traceback.format_exception(refused.value)))
    for text in said:
        assert not any(secret[:20] in text for secret in secrets), text


def test_the_private_file_is_its_owners_only_whatever_the_umask(key, tmp_path):
    """The public one is for everybody."""
    before = os.umask(0)
    try:
        write_pair(key, private=tmp_path / "k.key", public=tmp_path / "k.pub", passphrase=None)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "k.key").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "k.pub").stat().st_mode) == 0o644
    assert sorted(path.name for path in tmp_path.iterdir()) == ["k.key", "k.pub"]


@pytest.mark.parametrize("there", ["k.key", "k.pub"])
@pytest.mark.parametrize("link", [False, True])
def test_a_file_that_is_there_stays_and_nothing_is_written(key, tmp_path, there, link):
    """Also a link that leads nowhere: what it names is somebody's plan."""
    if link:
        (tmp_path / there).symlink_to("nowhere")
    else:
        (tmp_path / there).write_text("mine")
    with pytest.raises(KeyMaterialError, match=f"{there} is there already; it stays as it is"):
        write_pair(key, private=tmp_path / "k.key", public=tmp_path / "k.pub", passphrase=None)
    assert [path.name for path in tmp_path.iterdir()] == [there]
    assert link or (tmp_path / there).read_text() == "mine"


@pytest.mark.parametrize("late", ["k.key", "k.pub"])
def test_a_file_that_appears_meanwhile_stays_and_nothing_is_left(key, tmp_path, monkeypatch, late):
    """Two processes at once: one pair, and not one half of each."""
    link = os.link

    def racing(source, target, **options):
        if target.name == late:
            target.write_text("theirs")
        link(source, target, **options)

    monkeypatch.setattr(key_files.os, "link", racing)
    with pytest.raises(KeyMaterialError, match=f"{late} is there already"):
        write_pair(key, private=tmp_path / "k.key", public=tmp_path / "k.pub", passphrase=None)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {late: "theirs"}


def test_a_disk_that_fails_half_way_leaves_nothing(key, tmp_path, monkeypatch):
    """Nothing half-written, and no private key in a file that nobody knows of."""

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(key_files.os, "fsync", full)
    with pytest.raises(KeyMaterialError, match=r"can not be written \(No space left on device\)"):
        write_pair(key, private=tmp_path / "k.key", public=tmp_path / "k.pub", passphrase=None)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_keeps_no_modes_gets_no_private_key(key, tmp_path, monkeypatch):
    """Some file systems give every file to everybody."""
    real = os.open
    monkeypatch.setattr(key_files.os, "open", lambda path, flags, mode: real(path, flags, 0o644))
    with pytest.raises(KeyMaterialError, match="others could read the key"):
        write_pair(key, private=tmp_path / "k.key", public=tmp_path / "k.pub", passphrase=None)
    assert list(tmp_path.iterdir()) == []


def test_the_signing_key_comes_from_a_file_or_the_environment(key, tmp_path):
    """As text, as a path in the environment, as a path; with and without a passphrase."""
    path = tmp_path / "ci.key"
    for passphrase in (None, PASSPHRASE):
        pem = key.pem(passphrase)
        path.write_bytes(pem)
        words = {"MLGATE_KEY_PASSPHRASE": PASSPHRASE}
        for given in (pem.decode(), pem.decode().strip(), pem.decode().replace("\n", "\r\n"), str(path)):
            assert load_signing_key({**words, "MLGATE_SIGNING_KEY": given}).public == key.public
        assert load_signing_key({**words, "MLGATE_SIGNING_KEY": "not this one"}, path).public == key.public


@pytest.mark.parametrize("environment", [{}, {"MLGATE_SIGNING_KEY": ""}, {"MLGATE_SIGNING_KEY": " \n"}])
def test_no_signing_key_is_none(environment):
    """Unsigned is a choice; whoever needs a signature asks."""
    assert load_signing_key(environment) is None


def test_a_signing_key_that_was_given_and_can_not_be_used_is_an_error(key, tmp_path):
    """Falling back to unsigned would be found at the gate only."""
    (tmp_path / "large").write_bytes(b"x" * 100_000)
    cases = {
        "/nowhere/ci.key": "MLGATE_SIGNING_KEY is neither a private key in PEM nor the path of a file",
        str(tmp_path): "MLGATE_SIGNING_KEY is neither a private key in PEM nor the path of a file",
        str(tmp_path / "large"): "is over 16384 bytes, which no key is",
        key.public.pem().decode(): "MLGATE_SIGNING_KEY holds no private key",
        key.pem(None).decode() * 2: "MLGATE_SIGNING_KEY holds 2 PEM blocks, not one",
    }
    for given, says in cases.items():
        with pytest.raises(KeyMaterialError) as refused:
            load_signing_key({"MLGATE_SIGNING_KEY": given})
        assert says in str(refused.value)
    with pytest.raises(KeyMaterialError, match="is not a file"):
        load_signing_key({}, tmp_path / "missing.key")


def test_a_plain_public_key_is_a_signer_without_an_end(key):
    """What `mlgate keys new` writes."""
    signer = parse_signer(key.public.pem(), name="ci.pub")
    assert (signer.name, signer.keyid, signer.public) == ("ci.pub", key.public.keyid, key.public)
    assert (signer.expires, signer.revoked) == (None, None)


def test_comment_lines_before_the_key_say_how_long_it_is_believed(key):
    """Spaces, empty lines and Windows' line ends are not the point."""
    head = (
        "\n# note: CI of the churn team\n# note: rotated every year\n#expires:2027-01-01\r\n# revoked: 2026-11-20\n\n"
    )
    signer = parse_signer(head.encode() + key.public.pem().replace(b"\n", b"\r\n") + b"\n", name="ci.pub")
    assert (signer.keyid, signer.expires, signer.revoked) == (
        key.public.keyid,
        date(2027, 1, 1),
        date(2026, 11, 20),
    )


@pytest.mark.parametrize(
    ("head", "says"),
    [
        ("# revokd: 2026-11-20\n", "ci.pub:1: not '# key: value' with one of the keys expires, note, revoked"),
        ("# note: x\n# Revoked: 2026-11-20\n", "ci.pub:2: not '# key: value'"),
        ("# revoked 2026-11-20\n", "ci.pub:1: not '# key: value'"),
        ("revoked: 2026-11-20\n", "ci.pub:1: not '# key: value'"),
        ("## revoked: 2026-11-20\n", "ci.pub:1: not '# key: value'"),
        ("# revoked:\n", "ci.pub: revoked is no date. Hint: write it as '# revoked: 2027-01-01'"),
        ("# revoked: yes\n", "ci.pub: revoked is no date"),
        ("# expires: 01.01.2027\n", "ci.pub: expires is no date"),
        ("# expires: 20270101\n", "ci.pub: expires is no date"),
        ("# expires: 2027-02-30\n", "ci.pub: expires is no date"),
        ("# expires: 2027-01-01\n# expires: 2036-01-01\n", "ci.pub:2: 'expires' stands there twice"),
    ],
)
def test_a_comment_that_is_not_understood_is_refused(key, head, says):
    """A misspelt revocation must not leave a stolen key believed."""
    with pytest.raises(KeyMaterialError) as refused:
        parse_signer(head.encode() + key.public.pem(), name="ci.pub")
    assert says in str(refused.value)


def test_a_revocation_behind_the_key_is_refused_and_not_overread(key):
    """Comments stand before the key."""
    for tail in (b"# revoked: 2026-11-20\n", b"revoked\n"):
        with pytest.raises(KeyMaterialError, match="text after its key"):
            parse_signer(key.public.pem() + tail, name="ci.pub")


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (b"", "ci.pub holds no PEM blocks, not one"),
        (b"\xff\x00", "ci.pub is no text"),
        (b"x" * (MAX_SIGNER_BYTES + 1), "ci.pub is 16385 bytes > 16384"),
        (b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "ci.pub holds no key that can be read"),
        (b"-----BEGIN PUBLIC KEY-----\n", "ci.pub holds no key that can be read"),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "ci.pub holds no public key"),
    ],
)
def test_what_is_no_public_key_is_refused(raw, says):
    """One line, the file first."""
    with pytest.raises(KeyMaterialError) as refused:
        parse_signer(raw, name="ci.pub")
    assert says in str(refused.value)


def test_two_keys_in_one_file_are_refused(key, other_key):
    """Which of them a comment is about would be anybody's guess."""
    with pytest.raises(KeyMaterialError, match="2 PEM blocks"):
        parse_signer(key.public.pem() + other_key.public.pem(), name="ci.pub")


def test_the_signers_of_a_policy_are_read_beside_it(key, other_key, tmp_path):
    """Relative to the policy's folder, by the policy's names; a link is followed, as a cluster mounts secrets."""
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "ci.pub").write_bytes(key.public.pem())
    (tmp_path / "data").write_bytes(other_key.public.pem())
    (tmp_path / "old.pub").symlink_to("data")
    found = read_signers(["keys/ci.pub", "old.pub"], tmp_path)
    assert [(signer.name, signer.keyid) for signer in found] == [
        ("keys/ci.pub", key.public.keyid),
        ("old.pub", other_key.public.keyid),
    ]


def test_a_signer_that_can_not_be_read_is_an_error(tmp_path):
    """A list with a hole in it is another list."""
    with pytest.raises(KeyMaterialError, match=r"gone\.pub is not a file"):
        read_signers(["gone.pub"], tmp_path)


def test_two_pairs_are_two_keys():
    """Randomness, and not a constant."""
    for kind in KeyKind:
        assert generate(kind).public.keyid != generate(kind).public.keyid
