"""Archives for the tests: written by us, or entry by entry by `tarfile`."""

import gzip
import io
import json
import tarfile

import pytest

from kbackup.archive import ArchiveReader, ArchiveWriter

MTIME = 1_700_000_000


def body_of(name, namespace="", *, api_version="v1", kind="ConfigMap", **more):
    """Return the JSON of an object."""
    metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
    document = {"apiVersion": api_version, "kind": kind, "metadata": metadata, **more}
    return json.dumps(document).encode()


class TarBuilder:
    """Builds a tar.gz entry by entry, in any order and with anything in it."""

    def __init__(self, tar_format=tarfile.PAX_FORMAT):
        """Begin an empty archive."""
        self._buffer = io.BytesIO()
        self.tar = tarfile.TarFile(fileobj=self._buffer, mode="w", format=tar_format)

    def file(self, path, content):
        """Add a regular file."""
        info = tarfile.TarInfo(path)
        info.size = len(content)
        self.tar.addfile(info, io.BytesIO(content))
        return self

    def item(self, resource, namespace, name, content=None, *, version=""):
        """Add one copy of an item."""
        scope = f"namespaces/{namespace}" if namespace else "cluster"
        directory = f"{version}/" if version else ""
        path = f"resources/{resource}/{directory}{scope}/{name}.json"
        return self.file(path, content or body_of(name, namespace))

    def special(self, path, kind, target=""):
        """Add an entry of another type."""
        info = tarfile.TarInfo(path)
        info.type = kind
        info.linkname = target
        self.tar.addfile(info)
        return self

    def plain(self):
        """Return the bytes of the tar."""
        self.tar.close()
        return self._buffer.getvalue()

    def bytes(self):
        """Return the bytes of the tar.gz."""
        return gzip.compress(self.plain(), mtime=0)

    def reader(self, **options):
        """Return a reader of the tar.gz."""
        return ArchiveReader(io.BytesIO(self.bytes()), **options)


@pytest.fixture
def build():
    """Make a `TarBuilder`."""
    return TarBuilder


@pytest.fixture
def body():
    """Make the JSON of an object."""
    return body_of


@pytest.fixture
def write():
    """Return a function that writes items and returns the archive."""

    def write_items(items, **options):
        """Write (resource, namespace, name[, body]) each at version v1."""
        out = io.BytesIO()
        with ArchiveWriter(out, mtime=MTIME, **options) as writer:
            for resource, namespace, name, *rest in items:
                writer.add(
                    resource=resource,
                    version="v1",
                    namespace=namespace,
                    name=name,
                    body=rest[0] if rest else body_of(name, namespace),
                )
        return out.getvalue()

    return write_items
