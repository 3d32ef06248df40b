"""Archives are Velero's to the byte rules, and every tar reads them."""

import gzip
import hashlib
import io
import json
import subprocess
import tarfile

import pytest

from kbackup.archive import ArchiveReader, ArchiveWriter
from kbackup.errors import ArchiveError

LONG = "n" * 253
CRD = "certificaterequestpolicies.policy.some-rather-long-company-name.example.com"
ODD_ITEMS = [
    ("namespaces", "", "shop"),
    ("clusterroles.rbac.authorization.k8s.io", "", "system:node:x"),
    ("configmaps", "shop", LONG),
    (CRD, "n" * 63, LONG),  # a path over 255 bytes
]


@pytest.fixture
def big(body):
    """An object of 1.4 MiB."""
    return body("big", "shop", data={"x": "ab" * (7 * (1 << 20) // 10)})


@pytest.fixture
def archive(write, big, tmp_path):
    """A file with everything that is odd about names and sizes."""
    path = tmp_path / "odd.tar.gz"
    path.write_bytes(write([*ODD_ITEMS, ("secrets", "shop", "big", big)]))
    return path


def test_layout(write, body):
    """The version comes first, then both copies of each item, un-versioned first."""
    content = write([("deployments.apps", "shop", "web"), ("namespaces", "", "shop")])

    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        members = tar.getmembers()
        files = {m.name: tar.extractfile(m).read() for m in members}

    assert [m.name for m in members] == [
        "metadata/version",
        "resources/deployments.apps/namespaces/shop/web.json",
        "resources/deployments.apps/v1-preferredversion/namespaces/shop/web.json",
        "resources/namespaces/cluster/shop.json",
        "resources/namespaces/v1-preferredversion/cluster/shop.json",
    ]
    assert files["metadata/version"] == b"1.1.0\n"
    assert files[members[1].name] == files[members[2].name] == body("web", "shop")
    assert {(m.mode, m.uid, m.gid, m.uname, m.gname, m.type) for m in members} == {
        (0o755, 0, 0, "", "", b"0")
    }


def test_other_version_is_written_once(body):
    """An item of a version that is not preferred lies below its version only."""
    out = io.BytesIO()
    content = body("a", "ns")

    with ArchiveWriter(out, mtime=0) as writer:
        writer.add(
            resource="jobs.batch",
            version="v1beta1",
            namespace="ns",
            name="a",
            body=content,
            preferred=False,
        )

    with tarfile.open(fileobj=io.BytesIO(out.getvalue())) as tar:
        names = tar.getnames()
    assert names[1:] == ["resources/jobs.batch/v1beta1/namespaces/ns/a.json"]
    assert (writer.items, writer.entries) == (1, 2)


def test_counts_and_digest(write, body):
    """Items, entries, size and digest are those of what was written."""
    out = io.BytesIO()
    with ArchiveWriter(out, mtime=0) as writer:
        for n in range(3):
            writer.add(
                resource="pods",
                version="v1",
                namespace="a",
                name=f"p{n}",
                body=body(f"p{n}", "a"),
            )

    written = out.getvalue()
    assert (writer.items, writer.entries) == (3, 7)
    assert writer.size == len(written)
    assert writer.sha256 == hashlib.sha256(written).hexdigest()


def test_same_items_same_bytes(write):
    """Two archives of the same items are the same bytes."""
    items = [("pods", "a", f"p{n}") for n in range(50)]

    assert write(items) == write(items)


def test_empty_archive_is_whole(write):
    """An archive without items has its version and its end mark."""
    assert gzip.decompress(write([]))[-1024:] == bytes(1024)


@pytest.mark.parametrize("name", ["", ".", "..", "a/b"])
def test_names_that_are_no_file_names(write, body, name):
    """A name that would climb or vanish is refused."""
    with pytest.raises(ArchiveError, match="cannot be the name"):
        write([("pods", "a", name, body("x", "a"))])


@pytest.mark.parametrize(
    ("resource", "namespace"), [("a/b", "n"), ("..", "n"), ("", "n"), ("pods", "../x")]
)
def test_directories_that_climb(write, body, resource, namespace):
    """A type or a namespace that would climb is refused."""
    with pytest.raises(ArchiveError, match="cannot be part"):
        write([(resource, namespace, "x", body("x", "a"))])


def test_odd_names_read_back(archive, big):
    """Names of 253 characters, colons, paths over 255 bytes and 1.4 MiB come back."""
    with ArchiveReader(archive) as reader:
        items = {item.identifier.name: item for item in reader}

    assert set(items) == {LONG, "shop", "system:node:x", "big"}
    assert items["big"].raw == big
    assert items[LONG].identifier.group_resource.resource == CRD.partition(".")[0]


@pytest.mark.parametrize("tool", ["tar", "bsdtar"])
def test_other_tars_read_it(archive, tool, need_tool):
    """GNU tar and bsdtar list every entry under its whole name."""
    need_tool(tool)
    with tarfile.open(archive) as tar:
        wanted = tar.getnames()

    done = subprocess.run(
        [tool, "-tzf", archive], capture_output=True, text=True, check=True
    )

    assert done.stdout.splitlines() == wanted
    assert done.stderr == ""
    assert any(len(name) > 255 for name in wanted)


@pytest.mark.parametrize("tool", ["tar", "bsdtar"])
def test_other_tars_unpack_it(write, body, tool, need_tool, tmp_path):
    """What other tools unpack are the items' bytes."""
    need_tool(tool)
    path = tmp_path / "a.tar.gz"
    path.write_bytes(write([("pods", "shop", "web")]))

    subprocess.run([tool, "-xzf", path, "-C", tmp_path], check=True)

    unpacked = tmp_path / "resources/pods/namespaces/shop/web.json"
    assert json.loads(unpacked.read_bytes()) == json.loads(body("web", "shop"))


def test_gzip_finds_it_whole(archive):
    """Gzip's own test passes."""
    done = subprocess.run(["gzip", "-t", archive], capture_output=True, check=False)

    assert (done.returncode, done.stderr) == (0, b"")


def test_closing_twice():
    """A second close changes nothing: the archive has one end."""
    out = io.BytesIO()
    writer = ArchiveWriter(out, mtime=0)
    writer.close()
    content = out.getvalue()

    writer.close()

    assert out.getvalue() == content
    assert list(ArchiveReader(io.BytesIO(content))) == []
