"""What a remote artifact store says of its files without handing them out: its own marks of their content."""

import posixpath
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from email.utils import parsedate_to_datetime
from typing import Any

from mlgate.registry.downloads import files_of
from mlgate.registry.interface import StoredFile

_THREADS = 8


def list_store(store: Any) -> tuple[StoredFile, ...] | None:
    """Return the files of an artifact repository with the etag of each; `None` where the store gives none.

    S3 is asked itself. A server that hands artifacts out is asked for the heads of its answers; MLflow's gives an etag
    for what is on its own disk, and none for what it has to download first.

    Args:
        store: `RestStore`, or a repository of MLflow's client.

    Raises:
        RegistryError: The store lists what it should not.
    """
    if hasattr(store, "_get_s3_client"):
        return tuple(sorted(_in_bucket(store), key=lambda file: file.path))
    if not hasattr(store, "headers"):
        return None
    # The smallest first: a server that has to download a file to say that it has no etag should have little to do.
    paths = [path for path, _ in sorted(files_of(store), key=lambda entry: entry[1] or 0)]
    if not paths or (first := _headed(store, paths[0])) is None:
        return None
    with ThreadPoolExecutor(_THREADS) as pool:
        found = [first, *pool.map(lambda path: _headed(store, path), paths[1:])]
    known = [file for file in found if file is not None]
    return tuple(sorted(known, key=lambda file: file.path)) if len(known) == len(found) else None


def _headed(store: Any, path: str) -> StoredFile | None:
    headers = store.headers(path)
    etag, size, modified = (headers.get(name, "") for name in ("ETag", "Content-Length", "Last-Modified"))
    # A weak one promises the same meaning, not the same bytes.
    if not etag or etag.startswith("W/") or not size.isdecimal():
        return None
    changed_at = parsedate_to_datetime(modified).timestamp() if modified else time.time()
    return StoredFile(path=path, size=int(size), marker=etag, changed_at=changed_at)


def _in_bucket(store: Any) -> Iterator[StoredFile]:
    bucket, root = store.parse_s3_compliant_uri(store.artifact_uri)
    pages = store._get_s3_client().get_paginator("list_objects_v2")  # noqa: SLF001 - with the user's settings for it
    for page in pages.paginate(Bucket=bucket, Prefix=f"{root.rstrip('/')}/"):
        for entry in page.get("Contents", ()):
            if not entry["Key"].endswith("/"):
                changed = entry["LastModified"]
                yield StoredFile(
                    path=posixpath.relpath(entry["Key"], root),
                    size=entry["Size"],
                    marker=f"{entry['ETag']} {changed.isoformat()}",
                    changed_at=changed.timestamp(),
                )
