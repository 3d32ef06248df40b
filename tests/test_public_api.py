"""What the front door offers is a promise: a change of it is a visible change here."""

import subprocess
import sys

import pytest

import kbackup

PUBLIC_NAMES = [
    "Backup",
    "BackupEngine",
    "BackupOptions",
    "BackupPhase",
    "BackupPlan",
    "BackupResult",
    "BackupSpec",
    "BackupStorageLocation",
    "BackupStore",
    "CancelToken",
    "Cluster",
    "EngineSettings",
    "KBackupError",
    "LabelSelector",
    "PluginManager",
    "Restore",
    "RestoreEngine",
    "RestoreOptions",
    "RestorePhase",
    "RestorePlan",
    "RestoreResult",
    "RestoreSpec",
    "Schedule",
    "VolumeSnapshotLocation",
    "__version__",
    "hookimpl",
]
HEAVY = ("aiobotocore", "aiohttp", "boto3", "fsspec", "kubernetes", "pluggy", "s3fs")


def test_public_names_are_those_promised():
    """The front door offers exactly the promised names."""
    assert sorted(kbackup.__all__) == sorted(PUBLIC_NAMES)


@pytest.mark.parametrize("name", PUBLIC_NAMES)
def test_public_name_resolves(name):
    """Every promised name can be imported from the front door."""
    assert getattr(kbackup, name) is not None


def test_unknown_name_is_an_attribute_error():
    """A name that is not promised fails as it does on any module."""
    with pytest.raises(AttributeError, match="nothing_of_the_kind"):
        _ = kbackup.nothing_of_the_kind


@pytest.mark.parametrize(
    ("statement", "allowed"),
    [
        ("import kbackup", ()),
        ("import kbackup.models", ()),
        ("import kbackup.plugins", ("pluggy",)),
        ("import kbackup.archive", ()),
        ("from kbackup import BackupStore", ("pluggy",)),
        ("from kbackup import BackupEngine, Cluster", ("kubernetes", "pluggy")),
    ],
)
def test_import_loads_no_more_than_it_needs(statement, allowed):
    """Importing one room pulls in neither a cloud SDK nor another room's library."""
    code = f"{statement}\nimport sys\nprint(*sys.modules)"

    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )

    loaded = {module.partition(".")[0] for module in done.stdout.split()}
    assert loaded.intersection(HEAVY) <= set(allowed)
