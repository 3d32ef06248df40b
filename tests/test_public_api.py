"""What the front door offers is a promise: a change of it is a visible change here."""

import ast
import importlib
import inspect
import subprocess
import sys
from pathlib import Path

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
    "Difference",
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
ROOMS = (
    "archive backup catalog cluster hooks models plugins restore stores testing volumes"
)
DOORS = [
    *("kbackup", "kbackup.restore.transforms"),
    *(f"kbackup.{room}" for room in ROOMS.split()),
]
HEAVY = ("aiobotocore", "aiohttp", "boto3", "fsspec", "kubernetes", "pluggy", "s3fs")


def test_public_names_are_those_promised():
    """The front door offers exactly the promised names."""
    assert sorted(kbackup.__all__) == sorted(PUBLIC_NAMES)


@pytest.mark.parametrize("name", PUBLIC_NAMES)
def test_public_name_resolves(name):
    """Every promised name can be imported from the front door."""
    assert getattr(kbackup, name) is not None


@pytest.mark.parametrize("door", ["", ".models", ".restore", ".testing"])
def test_completion_offers_what_is_promised(door):
    """In a shell or a notebook the tab key shows no imports of our own."""
    module = importlib.import_module(f"kbackup{door}")

    assert dir(module) == sorted(module.__all__)


def test_unknown_name_is_an_attribute_error():
    """A name that is not promised fails as it does on any module."""
    with pytest.raises(AttributeError, match="nothing_of_the_kind"):
        _ = kbackup.nothing_of_the_kind


def test_plugins_promise_nothing_of_the_engines():
    """What the engines share of the plugins' room is no name that authors rely on."""
    inside = importlib.import_module("kbackup.plugins.engine")

    assert {"Operations", "execute_action"} <= set(inside.__all__)
    assert not any(hasattr(kbackup.plugins, name) for name in inside.__all__)


def _is_shared_by_nature(found):
    """Whether objects of a class are never changed, or do nothing of their own."""
    return (
        issubclass(found, BaseException | str | tuple)
        or hasattr(found, "__attrs_attrs__")
        or hasattr(found, "__struct_fields__")
        or getattr(found, "_is_protocol", False)
        or found.__name__.endswith("Contract")
    )


@pytest.mark.parametrize("door", DOORS)
def test_public_classes_say_what_threads_may_do(door):
    """Who uses a class with a state of its own reads there whether threads share it."""
    offered = importlib.import_module(door)
    classes = [getattr(offered, name) for name in offered.__all__]

    silent = [
        found.__name__
        for found in classes
        if inspect.isclass(found)
        and not _is_shared_by_nature(found)
        and "thread" not in (found.__doc__ or "").lower()
    ]

    assert silent == []


@pytest.mark.parametrize("door", DOORS)
def test_type_checkers_know_every_name(door):
    """A name that is resolved on demand is imported for type checkers: none is Any.

    That the types are right is what tests/typing says, which mypy checks.
    """
    module = importlib.import_module(door)
    tree = ast.parse(Path(module.__file__).read_text())
    known = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    known |= {
        node.target.id
        for node in ast.walk(tree)
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
    }

    assert set(module.__all__) <= known


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
