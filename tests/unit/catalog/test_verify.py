"""Verify tells every fault of a backup's content."""

import json
import os

import catalog_samples as samples
import pytest

from kbackup._kits.streams import compress
from kbackup.catalog import BackupStore, MissingReference, VolumeRecord
from kbackup.errors import StoreError, StoreUnavailableError
from kbackup.models import GroupResource, ListRecord, ResourceIdentifier

SECRETS = GroupResource.parse("secrets")


def identify(text, namespace, name):
    """Return an identity."""
    return ResourceIdentifier(GroupResource.parse(text), namespace, name)


@pytest.mark.parametrize(
    ("manifest", "words"),
    [
        ({"items": 3}, "the archive has 2 items, the manifest says 3"),
        ({"entries": 6}, "the archive has 5 entries, the manifest says 6"),
        (
            {"lists": [ListRecord(resource=SECRETS, listed=5, stored=1, failed=1)]},
            "secrets: 5 listed, but 1 stored, 0 skipped and 1 failed",
        ),
        (
            {"lists": [ListRecord(resource=SECRETS, listed=2, stored=2)]},
            "secrets: 2 were stored, the archive has 1",
        ),
        (
            {"volumes": [VolumeRecord(claim="shop/gone")]},
            "claim shop/gone: in the manifest, not in the archive",
        ),
        (
            {
                "missing": [
                    MissingReference(
                        item=identify("pods", "shop", "x"),
                        refers_to=identify("secrets", "shop", "a"),
                    )
                ]
            },
            "secrets/shop/a: called missing, but in the archive",
        ),
    ],
)
def test_counts_and_references(store, manifest, words):
    """Counts that do not agree and references that lead nowhere are named."""
    samples.make(store, "shop", manifest=samples.manifest_of(**manifest))

    assert words in store.verify("shop").problems


@pytest.mark.parametrize(
    ("suffix", "content", "words"),
    [
        ("-results.gz", b"no gzip", "its gzip is damaged"),
        ("-results.gz", compress(b"{"), "it is no JSON"),
        ("-logs.gz", b"no gzip", "its gzip is damaged"),
        (".tar.gz", b"no gzip", "the gzip is damaged"),
        ("-resource-list.json.gz", compress(b"{}"), "not in the list of resources"),
        (
            "-itemoperations.json.gz",
            compress(
                json.dumps(
                    [{"spec": {"postOperationItems": [{"Resource": "x", "Name": "y"}]}}]
                ).encode()
            ),
            "x/y: an operation names it",
        ),
    ],
)
def test_files_that_were_bad_when_written(store, suffix, content, words):
    """A file that has the right digest and the wrong content is named."""
    samples.make(store, "shop", files=samples.files_of("shop", **{suffix: content}))

    assert any(words in problem for problem in store.verify("shop").problems)


def body_of(api_version, kind, name="a", namespace="shop"):
    """The JSON of an object."""
    metadata = {"name": name, "namespace": namespace}
    document = {"apiVersion": api_version, "kind": kind, "metadata": metadata}
    return json.dumps(document).encode()


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (
            body_of("v1", "ConfigMap"),
            "secrets/shop/a: the archive files it under secrets, it is a ConfigMap of v1",
        ),
        (
            body_of("example.com/v1", "Secret"),
            "files it under secrets, it is a Secret of example.com/v1",
        ),
        (
            body_of("v1", "Secret", name="b"),
            "secrets/shop/a: the object in it is 'shop/b'",
        ),
        (
            body_of("v1", "Secret", namespace="bar"),
            "shop/a: the object in it is 'bar/a'",
        ),
    ],
    ids=["kind", "group", "name", "namespace"],
)
def test_item_that_is_not_what_its_path_says(store, monkeypatch, body, words):
    """What a restore would refuse to write is named before one is needed."""
    right = samples.item_body
    monkeypatch.setattr(
        samples, "item_body", lambda *path: body if path[2] == "a" else right(*path)
    )
    samples.make(store, "shop")

    problems = store.verify("shop").problems

    assert any(words in problem for problem in problems), problems


def test_many_misfiled_items_are_counted(store, monkeypatch):
    """Of an archive in which nothing is right the first ones are named, the rest counted."""
    items = [("secrets", "shop", f"s{number:03}") for number in range(123)]
    monkeypatch.setitem(samples.KINDS, "secrets", "ConfigMap")
    files = samples.files_of("shop", **{".tar.gz": samples.archive_bytes(items)})
    samples.make(store, "shop", files=files)

    problems = [x for x in store.verify("shop").problems if "under" in x]

    assert len(problems) == 21
    assert problems[0].startswith(
        "secrets/shop/s000: the archive files it under secrets"
    )
    assert problems[-1] == "103 more items filed under a type that is not theirs"


@pytest.fixture
def large(monkeypatch):
    """Make every item of the samples one of 64 KiB and more."""
    small = samples.item_body

    def item_body(resource, namespace, name):
        """Return the JSON of a large object."""
        data = os.urandom(40_000).hex()
        return small(resource, namespace, name)[:-1] + f',"x":"{data}"}}'.encode()

    monkeypatch.setattr(samples, "item_body", item_body)


@pytest.mark.usefixtures("large")
def test_sound_backup_of_large_items_is_whole(store):
    """A sound backup with objects of 64 KiB used to be reported as damaged."""
    samples.make(store, "shop")

    report = store.verify("shop")

    assert report.problems == ()
    assert report.items == len(samples.ITEMS)


@pytest.mark.usefixtures("large")
def test_flipped_bytes_among_large_items(store, root):
    """A wrong byte anywhere in an archive of large items is told."""
    samples.make(store, "shop")
    path = root / "backups/shop/shop.tar.gz"
    content = path.read_bytes()

    for at in range(0, len(content), len(content) // 16):
        changed = bytearray(content)
        changed[at] ^= 1
        path.write_bytes(bytes(changed))
        assert store.verify("shop").problems


def test_record_and_archive_disagree(store, monkeypatch):
    """A record that counts other items than the archive has is named."""
    monkeypatch.setattr(samples, "archive_bytes", lambda: b"")
    files = samples.files_of("shop")
    monkeypatch.undo()
    files["shop.tar.gz"] = samples.archive_bytes(samples.ITEMS[:1])
    samples.make(store, "shop", files=files)

    problems = store.verify("shop").problems

    assert "the archive has 1 item, the record says 2" in problems


def test_incomplete_is_a_problem(store, root):
    """What a dead run left verifies as what it is."""
    (root / "backups/shop").mkdir(parents=True)
    (root / "backups/shop/shop.tar.gz").write_bytes(b"half")

    report = store.verify("shop")

    assert report.problems[0].startswith("incomplete: no velero-backup.json")
    assert (report.objects, report.items) == (0, 0)


@pytest.mark.parametrize("suffix", ["-logs.gz", "-results.gz", ".tar.gz"])
def test_file_on_a_bad_sector(objects, store, suffix):
    """A file that the disk does not give is told, and the others are still looked at."""
    samples.make(store, "shop")

    class Dying(samples.Watched):
        """Fails for one key."""

        def get(self, key, target, **options):
            """Fail, or read."""
            if key.endswith(f"/shop{suffix}"):
                raise StoreError(key, "input/output error")
            return self._store.get(key, target, **options)

    dying = BackupStore(Dying(objects, lambda verb, key: None))

    (problem,) = dying.verify("shop").problems
    assert problem == (
        f"backups/shop/shop{suffix}: the store failed: input/output error"
    )


def test_silent_store_is_no_fault_of_the_backup(objects, store):
    """Where the store does not answer, nothing is said about the backup."""
    samples.make(store, "shop")

    class Silent(samples.Watched):
        """Does not answer for the log."""

        def get(self, key, target, **options):
            """Fail, or read."""
            if key.endswith("-logs.gz"):
                raise StoreUnavailableError(key)
            return self._store.get(key, target, **options)

    with pytest.raises(StoreUnavailableError):
        BackupStore(Silent(objects, lambda verb, key: None)).verify("shop")
