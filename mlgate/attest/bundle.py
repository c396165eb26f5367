"""Bundle: which of two forms a signed statement has, a DSSE envelope or a Sigstore bundle around one. Pure.

Source: https://docs.sigstore.dev/about/bundle/.
"""

from mlgate.attest.untrusted import AttestationError, read_json

# As much as the registry reads of an envelope.
MAX_BUNDLE_BYTES = 64 * 1024 * 1024
# Bundle, verification material, list of log entries, entry, inclusion proof, its list of hashes or its checkpoint.
MAX_BUNDLE_DEPTH = 8


def is_bundle(raw: bytes) -> bool:
    """Return whether *raw* says of itself that it is a Sigstore bundle; a DSSE envelope has no media type."""
    try:
        found = read_json(raw, what="the bundle", max_bytes=MAX_BUNDLE_BYTES, max_depth=MAX_BUNDLE_DEPTH)
    except AttestationError:
        return False
    return isinstance(found, dict) and "mediaType" in found
