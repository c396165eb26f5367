"""A Sigstore of one process: Fulcio with its certificate log, and Rekor, over HTTP, and the trust root that vouches for them.

It speaks what the library's own client speaks and signs what the library's own verifier checks; nothing of the library
is replaced. What it can not show is that the live services answer alike.
"""

import base64
import hashlib
import json
import struct
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import jwt
import rfc8785
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from mlgate.attest.dsse import PAYLOAD_TYPE, pae

ISSUER = "https://gitlab.example.com"
CLAIMS = {
    "iss": ISSUER,
    "aud": "sigstore",
    "sub": "project_path:group/churn:ref_type:branch:ref:main",
    "project_path": "group/churn",
    "ref": "main",
    "ref_type": "branch",
    "ref_protected": "true",
    "sha": "1" * 40,
}
# docs/oid-info.md of sigstore/fulcio; the templates are those of its config/identity/config.yaml for GitLab.
EXTENSIONS = {"issuer": 8, "project_path": 12, "sha": 13, "ref": 14}
START = "2020-01-01T00:00:00Z"


def der(tag: int, content: bytes) -> bytes:
    """One DER value."""
    size = len(content)
    length = bytes([size]) if size < 128 else bytes([0x80 | (size.bit_length() + 7) // 8]) + size.to_bytes((size.bit_length() + 7) // 8)  # fmt: skip
    return bytes([tag]) + length + content


def b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def public_der(key) -> bytes:
    return key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def key_id(key) -> bytes:
    return hashlib.sha256(public_der(key)).digest()


def new_key():
    return ec.generate_private_key(ec.SECP256R1())


def signed(key, message: bytes) -> bytes:
    return key.sign(message, ec.ECDSA(hashes.SHA256()))


@dataclass
class LocalSigstore:
    """The instance.

    Attributes:
        without: Extensions that certificates lack, of `EXTENSIONS`.
        default_url: What Fulcio's template takes for the URL of the GitLab; `None` for the issuer.
        logged_after_s: How long after the certificate the log says it has seen the signature.
        status: HTTP status of every answer.
        hang: Set to let go of requests that are held back; `None` answers at once.
    """

    without: set = field(default_factory=set)
    default_url: str | None = None
    logged_after_s: float = 0
    status: int = 200
    hang: threading.Event | None = None
    ca_key: object = field(default_factory=new_key)
    ct_key: object = field(default_factory=new_key)
    log_key: object = field(default_factory=new_key)
    asked: list = field(default_factory=list)
    url: str = "http://127.0.0.1:9"

    def __post_init__(self):
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "local fulcio")])
        key, now = self.ca_key.public_key(), datetime.now(UTC)
        self.ca = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage(key_cert_sign=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .sign(self.ca_key, hashes.SHA256())
        )

    # What a client is configured with.

    def trusted_root(self) -> dict:
        def log(key, url):
            return {
                "baseUrl": url,
                "hashAlgorithm": "SHA2_256",
                "publicKey": {
                    "rawBytes": b64(public_der(key)),
                    "keyDetails": "PKIX_ECDSA_P256_SHA_256",
                    "validFor": {"start": START},
                },
                "logId": {"keyId": b64(key_id(key))},
            }

        authority = {
            "subject": {"organization": "local", "commonName": "local fulcio"},
            "uri": self.url,
            "certChain": {"certificates": [{"rawBytes": b64(self.ca.public_bytes(serialization.Encoding.DER))}]},
            "validFor": {"start": START},
        }
        return {
            "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
            "tlogs": [log(self.log_key, self.url)],
            "certificateAuthorities": [authority],
            "ctlogs": [log(self.ct_key, self.url)],
            "timestampAuthorities": [],
        }

    def trust_config(self) -> dict:
        service = {"url": self.url, "majorApiVersion": 1, "validFor": {"start": START}, "operator": "local"}
        return {
            "mediaType": "application/vnd.dev.sigstore.clienttrustconfig.v0.1+json",
            "trustedRoot": self.trusted_root(),
            "signingConfig": {
                "mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json",
                "caUrls": [service],
                "rekorTlogUrls": [service],
                "rekorTlogConfig": {"selector": "ANY"},
                "tsaConfig": {"selector": "ANY"},
            },
        }

    def write(self, folder: Path) -> tuple[Path, Path]:
        """The trust root and the client trust config, as files."""
        root, config = folder / "trusted_root.json", folder / "client.json"
        root.write_text(json.dumps(self.trusted_root()))
        config.write_text(json.dumps(self.trust_config()))
        return root, config

    # Fulcio.

    def certificate(self, claims: dict, public_key) -> x509.Certificate:
        url = self.default_url or claims["iss"]
        kind = "heads" if claims["ref_type"] == "branch" else "tags"
        values = {
            "issuer": claims["iss"],
            "project_path": f"{url}/{claims['project_path']}",
            "sha": claims["sha"],
            "ref": f"refs/{kind}/{claims['ref']}",
        }
        now = datetime.now(UTC)
        san = x509.UniformResourceIdentifier(f"{url}/{claims['project_path']}//.gitlab-ci.yml@{values['ref']}")
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([]))
            .issuer_name(self.ca.subject)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(minutes=1))
            .not_valid_after(now + timedelta(minutes=9))
            .add_extension(usage(digital_signature=True), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.ca_key.public_key()), critical=False)
            .add_extension(x509.SubjectAlternativeName([san]), critical=True)
        )
        for claim, number in EXTENSIONS.items():
            if claim not in self.without:
                oid = x509.ObjectIdentifier(f"1.3.6.1.4.1.57264.1.{number}")
                value = der(0x0C, values[claim].encode())
                builder = builder.add_extension(x509.UnrecognizedExtension(oid, value), critical=False)
        logged = builder.sign(self.ca_key, hashes.SHA256()).tbs_certificate_bytes
        oid = x509.ObjectIdentifier("1.3.6.1.4.1.11129.2.4.2")
        sct = x509.UnrecognizedExtension(oid, der(0x04, self._timestamps(logged)))
        return builder.add_extension(sct, critical=False).sign(self.ca_key, hashes.SHA256())

    def _timestamps(self, logged: bytes) -> bytes:
        """The list of signed certificate timestamps of RFC 6962, 3.2 and 3.3, with one of them."""
        milliseconds = int(time.time() * 1000)
        entry = key_id(self.ca_key) + len(logged).to_bytes(3) + logged
        signature = signed(self.ct_key, struct.pack("!BBQH", 0, 0, milliseconds, 1) + entry + b"\0\0")
        one = struct.pack("!B32sQHBBH", 0, key_id(self.ct_key), milliseconds, 0, 4, 3, len(signature)) + signature
        return struct.pack("!HH", len(one) + 2, len(one)) + one

    # Rekor.

    def entry(self, proposed: dict) -> dict:
        content = proposed["spec"]["proposedContent"]
        envelope = json.loads(content["envelope"])
        (verifier,) = content["verifiers"]
        digests = {
            "envelopeHash": hashlib.sha256(content["envelope"].encode()),
            "payloadHash": hashlib.sha256(base64.b64decode(envelope["payload"])),
        }
        body = rfc8785.dumps(
            {
                "apiVersion": "0.0.1",
                "kind": "dsse",
                "spec": {
                    **{name: {"algorithm": "sha256", "value": found.hexdigest()} for name, found in digests.items()},
                    "signatures": [{"signature": one["sig"], "verifier": verifier} for one in envelope["signatures"]],
                },
            }
        )
        return {"local": self._logged(body)}

    def _logged(self, body: bytes) -> dict:
        """The only entry of a log: its leaf is the root."""
        leaf = hashlib.sha256(b"\0" + body).digest()
        note = f"local - 1\n1\n{b64(leaf)}\n"
        seal = b64(key_id(self.log_key)[:4] + signed(self.log_key, note.encode()))
        entry = {
            "body": b64(body),
            "integratedTime": int(time.time() + self.logged_after_s),
            "logID": key_id(self.log_key).hex(),
            "logIndex": 0,
        }
        proof = {
            "checkpoint": f"{note}\n\u2014 local {seal}\n",
            "hashes": [],
            "logIndex": 0,
            "rootHash": leaf.hex(),
            "treeSize": 1,
        }
        promise = b64(signed(self.log_key, rfc8785.dumps(entry)))
        return {**entry, "verification": {"inclusionProof": proof, "signedEntryTimestamp": promise}}

    # Both, without HTTP.

    def bundle(self, payload: bytes, *, kind: str = PAYLOAD_TYPE, **claims) -> dict:
        """A bundle as a pipeline with these claims makes one, by its format and not through the library."""
        key = new_key()
        certificate = self.certificate({**CLAIMS, **claims}, key.public_key())
        envelope = {
            "payload": b64(payload),
            "payloadType": kind,
            "signatures": [{"sig": b64(signed(key, pae(kind, payload)))}],
        }
        pem = certificate.public_bytes(serialization.Encoding.PEM)
        content = {"envelope": json.dumps(envelope), "verifiers": [b64(pem)]}
        entry = self.entry({"spec": {"proposedContent": content}})["local"]
        proof = entry["verification"]["inclusionProof"]
        return {
            "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
            "verificationMaterial": {
                "certificate": {"rawBytes": b64(certificate.public_bytes(serialization.Encoding.DER))},
                "tlogEntries": [
                    {
                        "logIndex": "0",
                        "logId": {"keyId": b64(bytes.fromhex(entry["logID"]))},
                        "kindVersion": {"kind": "dsse", "version": "0.0.1"},
                        "integratedTime": str(entry["integratedTime"]),
                        "inclusionPromise": {"signedEntryTimestamp": entry["verification"]["signedEntryTimestamp"]},
                        "inclusionProof": {
                            "logIndex": "0",
                            "rootHash": b64(bytes.fromhex(proof["rootHash"])),
                            "treeSize": "1",
                            "hashes": [],
                            "checkpoint": {"envelope": proof["checkpoint"]},
                        },
                        "canonicalizedBody": entry["body"],
                    }
                ],
            },
            "dsseEnvelope": envelope,
        }

    # HTTP.

    def answer(self, path: str, headers, body: bytes) -> dict:
        if path == "/api/v2/signingCert":
            token = headers["Authorization"].removeprefix("Bearer ")
            claims = jwt.decode(token, options={"verify_signature": False})
            request = x509.load_pem_x509_csr(base64.b64decode(json.loads(body)["certificateSigningRequest"]))
            chain = [self.certificate(claims, request.public_key()), self.ca]
            pems = [one.public_bytes(serialization.Encoding.PEM).decode() for one in chain]
            return {"signedCertificateEmbeddedSct": {"chain": {"certificates": pems}}}
        assert path == "/api/v1/log/entries"
        return self.entry(json.loads(body))

    def __enter__(self):
        local = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                local.asked.append(self.path)
                if local.hang is not None:
                    local.hang.wait(60)
                    return
                answer = json.dumps(local.answer(self.path, self.headers, body) if local.status == 200 else {}).encode()
                self.send_response(local.status)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *said):
                """Not in the tests' output."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *raised):
        if self.hang is not None:
            self.hang.set()
        self._server.shutdown()
        self._server.server_close()


def usage(**said: bool) -> x509.KeyUsage:
    every = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only")  # fmt: skip
    return x509.KeyUsage(**{name: said.get(name, False) for name in every})


def id_token(*, valid_s: float = 600, **changes) -> str:
    """An ID token as GitLab gives one to a job; nobody here checks its signature, which is Fulcio's to do."""
    now = int(time.time())
    claims = {**CLAIMS, "iat": now - 60, "nbf": now - 60, "exp": int(now + valid_s), **changes}
    return jwt.encode(claims, "only GitLab can sign these, and only Fulcio asks", algorithm="HS256")
