"""How much of a damaged backup is lost is said before anything is restored."""

from types import SimpleNamespace

import pytest

from kbackup.archive import ArchiveReader
from kbackup.catalog import Manifest
from kbackup.catalog.engine import lost_items
from kbackup.models import (
    GroupResource,
    ListRecord,
    RestoreOptions,
    RestorePhase,
    RestoreSpec,
)

from .conftest import archive_of

LOST = "items of the backup cannot be read"


def _item(kind, name):
    """An object of a backup."""
    metadata = {"name": name, "namespace": "shop"}
    return {"apiVersion": "v1", "kind": kind, "metadata": metadata}


@pytest.fixture(name="contents")
def fixture_contents(tmp_path):
    """An archive of three ConfigMaps and a Secret."""
    items = [_item("ConfigMap", f"m{n}") for n in range(3)]
    file = tmp_path / "archive.tar.gz"
    file.write_bytes(archive_of([*items, _item("Secret", "s")])[0])
    with ArchiveReader(file).index() as contents:
        yield contents


def _manifest(items, **stored):
    """A manifest that counts items, by type."""
    lists = [
        ListRecord(resource=GroupResource.parse(name), stored=number)
        for name, number in stored.items()
    ]
    return Manifest(items=items, lists=lists)


@pytest.mark.parametrize(
    ("manifest", "told"),
    [
        (_manifest(4, configmaps=3, secrets=1), ""),
        (
            _manifest(52, configmaps=5, secrets=40, pods=7),
            f"48 of 52 {LOST}: 39 of 40 secrets, 7 of 7 pods, 2 of 5 configmaps",
        ),
        # the manifest's lists do not know what an action asked for
        (
            _manifest(9, configmaps=3, secrets=5),
            f"5 of 9 {LOST}",
        ),
        (None, ""),
    ],
)
def test_what_the_manifest_counts(contents, manifest, told):
    """The number, and of which types, as far as the manifest tells."""
    assert lost_items(contents, manifest) == told


def test_a_manifest_that_is_lost_as_well():
    """That nobody knows how much is lost is said, too."""
    contents = SimpleNamespace(damage=("the gzip is damaged",))

    assert "is not known" in lost_items(contents, None)


def test_a_flipped_byte(shop, tmp_path):
    """Plan and result of a restore with --damaged tell how many items are lost."""
    (archive,) = tmp_path.glob("store-0/backups/shop-1/shop-1.tar.gz")
    content = bytearray(archive.read_bytes())
    content[len(content) // 2] ^= 0xFF
    archive.write_bytes(content)
    items = shop.store.manifest("shop-1").items
    spec, options = RestoreSpec(backup_name="shop-1"), RestoreOptions(salvage=True)

    plan = shop.engine.plan("try-1", spec, options)
    result = shop.engine.apply(plan)

    (told,) = [x.what for x in plan.notices if "cannot be read" in x.what]
    assert f" of {items} {LOST}" in told
    assert told in [error.message for error in result.results.errors]
    assert result.restore.status.phase is RestorePhase.PARTIALLY_FAILED
