"""Archives of Velero, of other tools and of attackers are read, or refused by name."""

import contextlib
import gzip
import io
import os
import tarfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kbackup.archive import ArchiveLimits, ArchiveReader
from kbackup.errors import ArchiveCorruptError, ArchiveError, ArchiveVersionError
from kbackup.models import GroupResource, ResourceIdentifier


def names(reader):
    """Return the identifiers of the items as text, sorted."""
    return sorted(str(item.identifier) for item in reader)


def test_items_come_in_order(write):
    """Items come as they were written, each once, whole and typed."""
    content = write([("pods", "b", "2"), ("namespaces", "", "b"), ("pods", "a", "1")])

    items = list(ArchiveReader(io.BytesIO(content)))

    assert [str(item.identifier) for item in items] == [
        "pods/b/2",
        "namespaces/b",
        "pods/a/1",
    ]
    assert items[0].content["metadata"] == {"name": "2", "namespace": "b"}


def test_versioned_copies_first(build):
    """The order of Velero 1.8, versioned copies first, makes no difference."""
    archive = build().file("metadata/version", b"1.1.0\n")
    for name in "ab":
        archive.item("pods", "shop", name, version="v1-preferredversion")
        archive.item("pods", "shop", name)

    assert names(archive.reader()) == ["pods/shop/a", "pods/shop/b"]


def test_before_velero_1_4(build):
    """An archive without versioned copies and with version 1 is read."""
    archive = build().file("metadata/version", b"1\n").item("pods", "shop", "a")

    with archive.reader().index() as contents:
        assert contents.versions(GroupResource.parse("pods")) == ("v1",)
        assert len(contents) == 1


def test_version_may_come_last_or_never(build):
    """Neither the place nor the presence of the version file matters."""
    last = build().item("pods", "a", "x").file("metadata/version", b"1.1.0\n")
    never = build().item("pods", "a", "x")

    assert names(last.reader()) == names(never.reader()) == ["pods/a/x"]


def test_newer_layout_is_refused(build):
    """An archive of another major version is refused, with that version."""
    archive = build().file("metadata/version", b"2.0.0\n")

    with pytest.raises(ArchiveVersionError, match=r"metadata/version.*2\.0\.0"):
        list(archive.reader())


def test_body_decides_about_the_version(build, body):
    """The API version is the body's, whatever directory it lies in."""
    content = body("crd", api_version="apiextensions.k8s.io/v1beta1", kind="X")
    archive = build().item("crds.apiextensions.k8s.io", "", "crd", content)

    (item,) = archive.reader()

    assert (item.api_version, item.kind) == ("apiextensions.k8s.io/v1beta1", "X")


def test_only_in_other_versions(build, body):
    """An item without an un-versioned copy comes from its best version, at the end."""
    archive = build()
    for version in ("v1beta1", "v1alpha1", "v2beta2"):
        content = body("a", "ns", api_version=f"batch/{version}")
        archive.item("jobs.batch", "ns", "a", content, version=version)
    archive.item("pods", "ns", "p")
    reader = archive.reader()

    items = list(reader)

    assert [(str(i.identifier), i.api_version) for i in items] == [
        ("pods/ns/p", "v1"),
        ("jobs.batch/ns/a", "batch/v2beta2"),
    ]
    with reader.index() as contents:
        assert contents.versions(GroupResource.parse("jobs.batch"))[0] == "v2beta2"
        assert len(contents) == 2


def test_repacked_in_another_order(build, write, tmp_path):
    """An archive whose copies are far apart still gives each item once."""
    archive = build()
    for name in "abc":
        archive.item("pods", "ns", name, version="v1-preferredversion")
    for name in "cab":
        archive.item("pods", "ns", name)

    assert names(archive.reader()) == ["pods/ns/a", "pods/ns/b", "pods/ns/c"]


def test_other_tools_habits(build):
    """Leading ./, directory entries and foreign files do not disturb."""
    archive = build().special("./resources", tarfile.DIRTYPE)
    archive.file("README", b"hello").file("resources/pods/stray.json", b"{")
    archive.tar.addfile(*_member("./resources/pods/namespaces/a/x.json", "x", "a"))

    assert names(archive.reader()) == ["pods/a/x"]


@pytest.mark.parametrize(
    "path",
    [
        "resources/pods/namespaces/a/deeper/x.json",
        "resources/pods/namespaces//x.json",
        "resources/pods/elsewhere/x.json",
        "resources/pods/namespaces/a/",  # a directory as old tars write it
        "resources/pods/namespaces/a/x.yaml",
    ],
)
def test_what_is_no_item_is_passed_over(build, path):
    """A file that lies elsewhere than items do is no item, first or in the middle."""
    first = build().file(path, b"").item("pods", "a", "x")
    middle = build().item("pods", "a", "x").file(path, b"").item("pods", "a", "y")

    assert names(first.reader()) == ["pods/a/x"]
    assert names(middle.reader()) == ["pods/a/x", "pods/a/y"]


def test_many_files_that_are_no_items(build, caplog):
    """A log is not filled with the names of what is no item: the first tell enough."""
    archive = build()
    for number in range(1000):
        archive.file(f"elsewhere/{number}", b"")

    assert names(archive.item("pods", "a", "x").reader()) == ["pods/a/x"]

    assert len(caplog.messages) == 6
    assert "elsewhere/4" in caplog.messages[4]
    assert caplog.messages[5] == "nor are 995 more files"


def test_versions_that_are_no_versions(build, body):
    """A directory that is no Kubernetes version counts less than any that is one."""
    archive = build()
    for version in ("v1alpha1", "2024-01-01"):
        content = body("a", "n", api_version=f"example.com/{version}")
        archive.item("wishes.example.com", "n", "a", content, version=version)

    (item,) = archive.reader()

    assert item.api_version == "example.com/v1alpha1"


def _member(path, name, namespace):
    """Return what `TarFile.addfile` takes."""
    content = (
        f'{{"apiVersion":"v1","kind":"Pod","metadata":{{"name":"{name}",'
        f'"namespace":"{namespace}"}}}}'
    ).encode()
    info = tarfile.TarInfo(path)
    info.size = len(content)
    return info, io.BytesIO(content)


@pytest.mark.parametrize(
    "tar_format", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT], ids=["pax", "gnu"]
)
def test_long_names_of_other_writers(build, tar_format):
    """PAX paths and GNU's long names are understood."""
    name = "n" * 253
    archive = build(tar_format).item("configmaps", "m" * 63, name).item("pods", "", "é")

    assert names(archive.reader()) == [f"configmaps/{'m' * 63}/{name}", "pods/é"]


def test_paths_split_by_ustar(build):
    """A path over 100 bytes that USTAR splits in two is put together again."""
    namespace, name = "n" * 63, "p" * 80
    archive = build(tarfile.USTAR_FORMAT)
    archive.item("pods", namespace, name).item("pods", namespace, "q" * 80)

    assert names(archive.reader()) == [
        f"pods/{namespace}/{name}",
        f"pods/{namespace}/{'q' * 80}",
    ]


@pytest.mark.parametrize(
    "path", ["resources/pods/namespaces/a\0/x.json", "resources/pods/cluster/x\0.json"]
)
def test_paths_with_a_nul(body, path):
    """A PAX path with a NUL, which other tools would cut there, is refused."""
    content = headed("x", body("x"), pax={"path": path})

    with pytest.raises(ArchiveCorruptError, match="NUL"):
        list(ArchiveReader(io.BytesIO(gzip.compress(content + bytes(1024)))))


def test_pax_records_that_say_nothing_here(body):
    """Records about times and owners do not disturb."""
    path = "resources/pods/namespaces/n/a.json"
    content = headed(path, body("a", "n"), pax={"mtime": "1.5", "uname": "me"})

    (item,) = ArchiveReader(io.BytesIO(gzip.compress(content + bytes(1024))))

    assert item.identifier.name == "a"


def test_pax_size_wins(body):
    """A size in a PAX record is the entry's size, as for files beyond 8 GiB."""
    content = body("a", "n")
    info = tarfile.TarInfo("resources/pods/namespaces/n/a.json")
    info.pax_headers = {"size": str(len(content))}
    header = info.tobuf(tarfile.PAX_FORMAT)
    tar = header + content.ljust(-(-len(content) // 512) * 512, b"\0") + bytes(1024)

    (item,) = ArchiveReader(io.BytesIO(gzip.compress(tar)))

    assert item.raw == content


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("../etc/passwd", "climbs out"),
        ("resources/../../x.json", "climbs out"),
        ("resources/pods/namespaces/../x.json", "climbs out"),
        ("/etc/passwd", "absolute"),
        ("/resources/pods/namespaces/a/x.json", "absolute"),
        ("resources/pods/namespaces/a/" + "x" * 5000, "absurdly long"),
    ],
)
def test_paths_that_climb_out(build, path, words):
    """A path that leaves the archive is refused by name."""
    archive = build(tarfile.GNU_FORMAT)
    info = tarfile.TarInfo("x")
    info.name = path
    archive.tar.addfile(info)

    with pytest.raises(ArchiveCorruptError, match=words):
        list(archive.reader())


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (tarfile.SYMTYPE, "a symbolic link"),
        (tarfile.LNKTYPE, "a hard link"),
        (tarfile.CHRTYPE, "of type '3'"),
        (tarfile.FIFOTYPE, "of type '6'"),
        (tarfile.GNUTYPE_SPARSE, "of type 'S'"),
    ],
)
def test_links_and_devices(build, kind, words):
    """What is no regular file is refused by name."""
    archive = build().special("resources/pods/cluster/x.json", kind, "/etc/passwd")

    with pytest.raises(ArchiveCorruptError, match=words) as caught:
        list(archive.reader())

    assert caught.value.entry == "resources/pods/cluster/x.json"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"[1]", "not a Kubernetes object"),
        (b"null", "not a Kubernetes object"),
        (b'"text"', "not a Kubernetes object"),
        (b"{", "not a Kubernetes object"),
        (b"", "not a Kubernetes object"),
        (b'{"metadata":{"name":"a","namespace":"n"}}', "no apiVersion"),
        (b'{"apiVersion":1,"kind":"Pod","metadata":{}}', "not a Kubernetes object"),
        (b'{"apiVersion":"v1","kind":"Pod","metadata":{"name":"b"}}', "'b'"),
        (
            b'{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a","namespace":"o"}}',
            "'o/a'",
        ),
    ],
)
def test_bodies_that_are_not_the_object(build, content, words):
    """A body that is not the object its path names is refused by the item's name."""
    archive = build().file("resources/pods/namespaces/n/a.json", content)

    for read in (list, ArchiveReader.index):
        with pytest.raises(ArchiveCorruptError, match=words) as caught:
            read(archive.reader())
        assert caught.value.entry == "pods/n/a"


def test_check_reads_every_value(build):
    """A body whose damage lies deep inside passes the head and fails the check."""
    content = (
        b'{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a","namespace":"n"},'
        b'"data":"\xff"}'
    )
    archive = build().file("resources/pods/namespaces/n/a.json", content)

    with pytest.raises(ArchiveCorruptError, match="pods/n/a"):
        archive.reader().check()


def test_check_counts_and_compares(build, body):
    """The summary counts items and entries and names items whose copies differ."""
    archive = build().file("metadata/version", b"1.1.0\n")
    archive.item("pods", "n", "a").item("pods", "n", "a", version="v1-preferredversion")
    archive.item("pods", "n", "b")
    archive.item("pods", "n", "b", body("b", "n", x=1), version="v1-preferredversion")

    summary = archive.reader().check()

    pods = GroupResource.parse("pods")
    assert (summary.items, summary.entries) == (2, 5)
    assert summary.by_type == {pods: 2}
    assert summary.differing == (ResourceIdentifier(pods, "n", "b"),)


def test_truncated_anywhere(write):
    """An archive cut off at any byte is refused."""
    content = write([("pods", "a", f"p{n}") for n in range(3)])

    for end in range(len(content)):
        with pytest.raises(ArchiveCorruptError):
            list(ArchiveReader(io.BytesIO(content[:end])))


def test_tar_without_its_end(build):
    """A whole gzip of a tar without its end mark is refused."""
    tar = build().item("pods", "a", "x").plain().rstrip(b"\0")
    padded = tar.ljust(-(-len(tar) // 512) * 512, b"\0")

    for end in (padded, padded + bytes(512)):
        with pytest.raises(ArchiveCorruptError, match="end mark"):
            list(ArchiveReader(io.BytesIO(gzip.compress(end))))


@pytest.mark.parametrize("end", [100, 600], ids=["header", "body"])
def test_tar_cut_in_the_middle(build, end):
    """A whole gzip of half a tar is refused; with salvage it ends what was read."""
    archive = build().item("pods", "a", "x")
    content = gzip.compress(archive.plain()[:1024] + archive.plain()[:end])

    with pytest.raises(ArchiveCorruptError, match=r"x\.json"):
        list(ArchiveReader(io.BytesIO(content)))
    reader = ArchiveReader(io.BytesIO(content), salvage=True)
    assert names(reader) == ["pods/a/x"]
    assert len(reader.damage) == 1


def test_data_after_the_end(build):
    """What hides behind the end mark is refused, not ignored."""
    tar = build().item("pods", "a", "x").plain() + b"x" * 512

    with pytest.raises(ArchiveCorruptError, match="follows the archive's end"):
        list(ArchiveReader(io.BytesIO(gzip.compress(tar))))


def test_damaged_header(build):
    """A flipped bit in a header is found although the gzip is whole."""
    tar = bytearray(build().item("pods", "a", "x").item("pods", "a", "y").plain())
    tar[1024 + 20] ^= 1

    with pytest.raises(ArchiveCorruptError, match=r"damaged header follows .*x\.json"):
        list(ArchiveReader(io.BytesIO(gzip.compress(bytes(tar)))))


def test_every_flipped_byte_of_an_archive(write):
    """No flipped byte gives other items than those written: it fails or is harmless."""
    content = write([("pods", "a", "x"), ("secrets", "b", "y")])
    wanted = [(i.identifier, i.raw) for i in ArchiveReader(io.BytesIO(content))]

    for at in range(len(content)):
        flipped = bytearray(content)
        flipped[at] ^= 0x10
        try:
            got = [(i.identifier, i.raw) for i in ArchiveReader(io.BytesIO(flipped))]
        except ArchiveError:
            continue
        assert got == wanted  # a byte of gzip's header that says nothing


@settings(max_examples=200)
@given(st.binary(max_size=3000))
def test_garbage_is_an_archive_error(data):
    """Any bytes give items or an archive error, nothing else."""
    for content in (data, gzip.compress(data)):
        with contextlib.suppress(ArchiveError):
            list(ArchiveReader(io.BytesIO(content)))


@settings(max_examples=200)
@given(st.data())
def test_mutated_tar_is_an_archive_error(data):
    """A tar with any bytes changed gives items or an archive error, nothing else."""
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as out:
        out.addfile(*_member("resources/pods/namespaces/a/" + "x" * 120, "x", "a"))
        out.addfile(*_member("resources/pods/namespaces/a/y.json", "y", "a"))
    content = bytearray(tar.getvalue()[:5120])
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at] = data.draw(st.integers(0, 255))

    with contextlib.suppress(ArchiveError):
        list(ArchiveReader(io.BytesIO(gzip.compress(bytes(content)))))


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        (ArchiveLimits(item=1000), "more than the 1000 allowed"),
        (ArchiveLimits(total=5000), "holds more than 5000"),
        (ArchiveLimits(ratio=5, ratio_from=1000), "more than 5 times its size"),
    ],
    ids=["item", "total", "ratio"],
)
def test_bombs(write, body, limits, words):
    """An item, an archive or a ratio beyond the limits is refused while inflating."""
    bomb = write([("secrets", "a", "x", body("x", "a", data="a" * 100_000))])

    with pytest.raises(ArchiveCorruptError, match=words):
        list(ArchiveReader(io.BytesIO(bomb), limits=limits))


def test_stated_size_is_not_believed():
    """A header that states a terabyte is refused without taking memory for it."""
    info = tarfile.TarInfo("resources/pods/cluster/x.json")
    info.size = 1 << 40
    tar = info.tobuf(tarfile.GNU_FORMAT) + b"{}"

    with pytest.raises(ArchiveCorruptError, match="1099511627776 bytes"):
        list(ArchiveReader(io.BytesIO(gzip.compress(tar))))


def test_salvage_reads_around_the_damage(build, body):
    """With salvage what is readable comes, and what is not is named."""
    archive = build().item("pods", "a", "one").item("pods", "a", "two", b"{")
    archive.special("link", tarfile.SYMTYPE, "x").item("pods", "a", "three")
    tar = bytearray(archive.plain())
    content = gzip.compress(bytes(tar))

    reader = ArchiveReader(io.BytesIO(content), salvage=True)

    assert names(reader) == ["pods/a/one", "pods/a/three"]
    assert [line.partition(":")[0] for line in reader.damage] == ["pods/a/two", "link"]
    with reader.index() as contents:
        assert len(contents) == 2


def test_salvage_skips_a_broken_header(build):
    """With salvage reading goes on at the next header that is whole."""
    tar = bytearray(
        build()
        .item("pods", "a", "one")
        .item("pods", "a", "two")
        .item("pods", "a", "three")
        .plain()
    )
    tar[1024] ^= 1
    reader = ArchiveReader(io.BytesIO(gzip.compress(bytes(tar))), salvage=True)

    with reader.index() as contents:
        pods = GroupResource.parse("pods")
        assert [i.name for i in contents.identifiers(pods)] == ["one", "three"]
        assert len(contents.damage) == 1


def test_salvage_of_a_cut_archive(write, body):
    """With salvage the items before the cut come."""
    items = [
        ("pods", "a", f"p{n}", body(f"p{n}", "a", x=os.urandom(3000).hex()))
        for n in range(300)
    ]
    content = write(items)

    reader = ArchiveReader(io.BytesIO(content[: len(content) // 2]), salvage=True)

    assert 50 < len(list(reader)) < 250
    assert any("damaged" in line or "ends" in line for line in reader.damage)


@pytest.mark.parametrize("large", [0, 1, 3])
def test_salvage_of_a_whole_archive(write, body, large):
    """With salvage a whole archive gives all its items, large ones among them too."""
    items = [
        (
            "pods",
            "a",
            f"p{n}",
            body(f"p{n}", "a", x="x" * (1 << 20 if n < large else 1)),
        )
        for n in range(4)
    ]
    reader = ArchiveReader(io.BytesIO(write(items)), salvage=True)

    assert [item.raw for item in reader] == [item[3] for item in items]
    assert reader.damage == ()


@pytest.mark.parametrize("cut", [1 << 15, 0], ids=["cut", "whole"])
def test_salvage_without_another_whole_header(build, cut):
    """Where after a broken header no whole one follows, salvage ends there."""
    archive = build().item("pods", "a", "one").item("pods", "a", "two")
    tar = bytearray(archive.file("rest", os.urandom(1 << 16)).plain())
    for header in (1024, 2048):
        tar[header] ^= 1
    content = gzip.compress(bytes(tar))
    reader = ArchiveReader(io.BytesIO(content[: len(content) - cut]), salvage=True)

    assert names(reader) == ["pods/a/one"]
    assert "damaged header follows" in reader.damage[0]


def test_missing_file_is_an_archive_error(tmp_path):
    """A path that cannot be opened is our error, not the system's."""
    with pytest.raises(ArchiveError, match="cannot be opened"):
        ArchiveReader(tmp_path / "nothing.tar.gz")


def test_two_iterations_at_once(write, tmp_path):
    """Iterations over one file do not disturb each other."""
    path = tmp_path / "a.tar.gz"
    path.write_bytes(write([("pods", "a", f"p{n:03}") for n in range(200)]))

    with ArchiveReader(path) as reader:
        pairs = list(zip(reader, reader, strict=True))

    assert len(pairs) == 200
    assert all(left.identifier == right.identifier for left, right in pairs)


def headed(path, body, *, pax=None, tar_format=tarfile.PAX_FORMAT):
    """Return one entry of a tar, with PAX records if given."""
    info = tarfile.TarInfo(path)
    info.size = len(body)
    info.pax_headers = pax or {}
    return info.tobuf(tar_format) + body.ljust(-(-len(body) // 512) * 512, b"\0")


def resummed(header, at, field):
    """Return a header with other bytes at a place and a sum that fits again."""
    changed = bytearray(header)
    changed[at : at + len(field)] = field
    changed[148:156] = b" " * 8
    changed[148:156] = b"%06o\0 " % sum(changed[:512])
    return bytes(changed)


@pytest.mark.parametrize(
    ("at", "field", "words"),
    [
        (124, b"\xff" + bytes(11), "no size"),
        (124, b"0000000zz99\0", "no number"),
        (124, b"\x80" + bytes(6) + b"\xff" * 5, "more than the"),
        (0, b"\xff\xfe", "not UTF-8"),
        (0, b"resources/pods/cluster/\xff.json", "not UTF-8"),
    ],
    ids=["negative", "letters", "binary", "directory", "name"],
)
def test_headers_that_make_no_sense(at, field, words):
    """A header with a right sum and wrong fields is refused."""
    entry = resummed(headed("x", b""), at, field)

    with pytest.raises(ArchiveCorruptError, match=words):
        list(ArchiveReader(io.BytesIO(gzip.compress(entry + bytes(1024)))))


def test_a_sum_that_is_no_number(body):
    """A header whose sum is no number is a damaged one."""
    entry = bytearray(headed("resources/pods/namespaces/n/a.json", body("a", "n")))
    entry[148:156] = b"letters "

    with pytest.raises(ArchiveCorruptError, match="damaged header"):
        list(ArchiveReader(io.BytesIO(gzip.compress(bytes(entry) + bytes(1024)))))


@pytest.mark.parametrize(
    ("records", "words"),
    [
        (b"garbage", "cannot be read"),
        (b"99 path=x\n", "cannot be read"),
        (b"12 size=-10\n", "no number"),
        (b"22 GNU.sparse.major=1\n", "sparse"),
    ],
)
def test_pax_records_that_make_no_sense(body, records, words):
    """A PAX header that cannot be meant is refused."""
    info = tarfile.TarInfo("x")
    info.type = tarfile.XHDTYPE
    info.size = len(records)
    tar = info.tobuf(tarfile.USTAR_FORMAT) + records.ljust(512, b"\0") + bytes(1024)

    with pytest.raises(ArchiveCorruptError, match=words):
        list(ArchiveReader(io.BytesIO(gzip.compress(tar))))


def test_binary_size_and_global_headers(body):
    """A size in binary and a global PAX header are understood."""
    content = body("a", "n")
    entry = headed("resources/pods/namespaces/n/a.json", content)
    entry = resummed(entry, 124, b"\x80" + len(content).to_bytes(11, "big"))
    note = tarfile.TarInfo.create_pax_global_header({"comment": "made by hand"})

    (item,) = ArchiveReader(io.BytesIO(gzip.compress(note + entry + bytes(1024))))

    assert item.raw == content


def test_old_headers_without_a_magic(body):
    """What lies where USTAR has its prefix is none in an older header."""
    tar = b""
    for name in "ab":
        entry = headed(f"resources/pods/namespaces/n/{name}.json", body(name, "n"))
        entry = resummed(entry, 257, bytes(8))
        tar += resummed(entry, 345, b"junk")

    reader = ArchiveReader(io.BytesIO(gzip.compress(tar + bytes(1024))))

    assert names(reader) == ["pods/n/a", "pods/n/b"]
