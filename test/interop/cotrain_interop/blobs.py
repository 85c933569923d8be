"""Blobs by digest, from a directory or a coordinator; every one is hashed, wherever it comes from."""

import re
import urllib.error
import urllib.request
from pathlib import Path

from .base import Missing, cid_of, equal, parse_canonical, sha256
from .spec import Spec


class Directory:
    """A store of files: `ab/abcd…`, the digest's hex under its first two digits."""

    def __init__(self, path: str):
        self.path = Path(path)

    def read(self, _run_id: str, digest: str) -> bytes:
        name = digest[2:]
        try:
            return (self.path / name[:2] / name).read_bytes()
        except FileNotFoundError:
            raise Missing(f"blob {digest} is not there") from None


class Coordinator:
    """GET /v1/runs/:runId/blobs/:cid"""

    def __init__(self, url: str):
        self.url = url.rstrip("/")

    def read(self, run_id: str, digest: str) -> bytes:
        try:
            with urllib.request.urlopen(f"{self.url}/v1/runs/{run_id}/blobs/{cid_of(digest)}", timeout=120) as reply:
                return reply.read()
        except urllib.error.HTTPError as error:
            if error.code == 404:
                raise Missing(f"blob {digest} is not there") from None
            raise


class Blobs:
    """Verified reads of one run's blobs."""

    def __init__(self, source: Directory | Coordinator, spec: Spec):
        self.source = source
        self.spec = spec
        # Digests whose blobs are not the source's (flips.py), and what was read, altogether and by kind.
        self.altered: set[str] = set()
        self.reads: set[str] = set()
        self.kinds: dict[str, set[str]] = {}

    def read(self, run_id: str, digest: str) -> bytes:
        return self.source.read(run_id, digest)

    def seal(self, _digest: str, data: bytes) -> str:
        """The digest that the bytes have."""
        return sha256(data)

    def get(self, run_id: str, digest: str, what: str, length: int | None = None) -> bytes:
        self.reads.add(digest)
        data = self.read(run_id, digest)
        self.kinds.setdefault(re.sub(r"0x[0-9a-f]+|\d+", "…", what), set()).add(digest)
        equal(f"the digest of {what}", self.seal(digest, data), digest)
        if length is not None:
            equal(f"the length of {what}", len(data), length)
        return data

    def document(self, run_id: str, digest: str, name: str, what: str) -> dict:
        """A document of the page; what is served is its canonical JSON."""
        data = self.get(run_id, digest, what)
        return self.spec.check(name, parse_canonical(data, what))
