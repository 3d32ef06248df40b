"""What cannot be called as it will be is refused when it is registered, with what is expected."""

import pytest

from kbackup.models import ResourceSelector
from kbackup.plugins import (
    ObjectStoreFactory,
    PluginManager,
    VolumeSnapshotterFactory,
    hookimpl,
)

NAME = "example.com/odd"
FOLLOWING = {
    "progress": "progress(given: OperationInput) -> OperationProgress",
    "cancel": "cancel(given: OperationInput, cluster: ClusterWriter) -> None",
}
ITEMS = "tuple[ResourceIdentifier, ...]"
EXPECTED = {
    "backup_item_actions": {
        "execute": "execute(given: BackupInput) -> BackupOutput",
        "begin": "begin(given: BackupInput, cluster: ClusterWriter) -> "
        "ItemOperation | None",
        **FOLLOWING,
    },
    "restore_item_actions": {
        "execute": "execute(given: RestoreInput) -> RestoreOutput",
        "begin": "begin(given: RestoreInput, cluster: ClusterWriter) -> "
        "ItemOperation | None",
        "are_additional_items_ready": "are_additional_items_ready(given: RestoreInput, "
        f"additional_items: {ITEMS}) -> bool",
        **FOLLOWING,
    },
    "delete_item_actions": {"execute": "execute(given: DeleteInput) -> None"},
    "item_block_actions": {
        "related_items": f"related_items(given: BackupInput) -> {ITEMS}"
    },
}
METHODS = [
    (family, method, expected)
    for family, methods in EXPECTED.items()
    for method, expected in methods.items()
]
OPENS = {
    "object_stores": (ObjectStoreFactory, "ObjectStore"),
    "volume_snapshotters": (VolumeSnapshotterFactory, "VolumeSnapshotter"),
}


async def waits(*_given):
    """Be a coroutine, which nobody awaits."""


NO_METHODS = {
    "takes nothing": (lambda: None, "cannot be called with"),
    "takes too much": (lambda _1, _2, _3, _4: None, "cannot be called with"),
    "wants a keyword": (lambda *_, key: key, "cannot be called with"),
    "a value": ("password", "is a str and cannot be called"),
}


def registered(family, offer):
    """Return how a plugin with one offer is listed."""
    plugin = type("Plugin", (), {})()
    hook = hookimpl(lambda: {NAME: offer})
    hook.__name__ = f"kbackup_register_{family}"
    setattr(plugin, hook.__name__, hook)
    (info,) = PluginManager([plugin]).list_plugins()
    return info


def action(family, **methods):
    """Make an action that has the method which its family must have, and others."""
    required = next(iter(EXPECTED[family]))
    own = {required: lambda _given: None, **methods}
    own = {name: staticmethod(each) for name, each in own.items()}
    own |= {"name": NAME, "applies_to": ResourceSelector()}
    return type("Odd", (), own)()


@pytest.mark.parametrize(("family", "method", "expected"), METHODS)
@pytest.mark.parametrize("what", NO_METHODS)
def test_a_method_that_cannot_be_called(family, method, expected, what):
    """The plugin is listed as unavailable, with the method and how it is to look."""
    function, told = NO_METHODS[what]

    info = registered(family, action(family, **{method: function}))

    assert not info.available
    assert f"{NAME}.{method}" in info.cause
    assert told in info.cause
    assert info.cause.endswith(f"; expected is {expected}")
    assert "password" not in info.cause


@pytest.mark.parametrize(("family", "method", "expected"), METHODS)
def test_a_method_that_is_a_coroutine(family, method, expected):
    """A coroutine would be an answer that nobody awaits: it is refused."""
    info = registered(family, action(family, **{method: waits}))

    assert info.cause.startswith(f"kbackup_register_{family}: {NAME}.{method} is async")
    assert expected


@pytest.mark.parametrize("family", EXPECTED)
def test_a_method_that_is_missing(family):
    """An action without the method of its family is refused with what it is to have."""
    required, expected = next(iter(EXPECTED[family].items()))

    info = registered(family, action(family, **{required: None}))

    assert f"{NAME} has no method {required}; expected is {expected}" in info.cause


@pytest.mark.parametrize("family", OPENS)
@pytest.mark.parametrize("what", NO_METHODS)
def test_a_factory_that_cannot_be_called(family, what):
    """So is a factory whose `open` takes no configuration."""
    factory, opened = OPENS[family]
    function, told = NO_METHODS[what]

    info = registered(family, factory(open=function))

    assert told in info.cause
    assert info.cause.endswith(
        f"; expected is open(config: Mapping[str, str]) -> {opened}"
    )


@pytest.mark.parametrize("family", [*EXPECTED, *OPENS])
@pytest.mark.parametrize("offer", [None, "password", dict, object()])
def test_what_is_nothing_of_the_family(family, offer):
    """Any other value is told by its type."""
    info = registered(family, offer)

    assert not info.available
    assert NAME in info.cause
    assert "password" not in info.cause
