"""What a host gets from its plugins: typed, in order, clashes and faults named."""

import logging
import textwrap
from types import SimpleNamespace

import attrs
import pytest

from kbackup.errors import (
    InvalidConfigError,
    PluginConflictError,
    PluginError,
    PluginLoadError,
    PluginNotFoundError,
    UnknownLocationError,
)
from kbackup.models import BackupStorageLocationSpec, ResourceSelector
from kbackup.plugins import (
    BackupOutput,
    ObjectStoreFactory,
    PluginKind,
    PluginManager,
    RestoreOutput,
    Run,
    RunEnded,
    RunStarted,
    VolumeSnapshotterFactory,
    hookimpl,
)


class Action:
    """An action that changes nothing."""

    applies_to = ResourceSelector()

    def __init__(self, name, version=1):
        """Take a name and a version."""
        self.name = name
        self.api_version = version

    def execute(self, given):
        """Answer without a change."""
        return RestoreOutput(item=given.item)


class BlockAction:
    """An action that knows no relations."""

    name = "example.com/block"
    applies_to = ResourceSelector()

    def related_items(self, given):
        """Name no items."""
        return ()


def open_store(config):
    """Stand for what opens a store."""
    raise NotImplementedError


def plugin(name="a_plugin", **offered):
    """A module-like plugin; keywords name the family and hold what it offers."""
    module = SimpleNamespace(__name__=name)
    for family, mapping in offered.items():
        hook = f"kbackup_register_{family}"
        setattr(module, hook, hookimpl(make_hook(hook, mapping)))
    return module


def make_hook(name, mapping):
    """A registration hook that returns *mapping*, or raises it."""

    def hook():
        if isinstance(mapping, BaseException):
            raise mapping
        return mapping

    hook.__name__ = name
    return hook


def stores(**factories):
    """Object store offers of example.com, by short name."""
    return {f"example.com/{name}": value for name, value in factories.items()}


def restore_names(manager):
    """The names of the restore item actions, in order."""
    return [action.name for action in manager.restore_item_actions()]


# --- every family ---------------------------------------------------------------------


def test_every_family_is_handed_out():
    """What is registered under each hook comes back from its accessor."""
    store = ObjectStoreFactory(open=open_store)
    snapshotter = VolumeSnapshotterFactory(open=open_store)
    action = Action("example.com/a")
    block = BlockAction()
    manager = PluginManager(
        [
            plugin(
                object_stores={"example.com/s": store},
                volume_snapshotters={"example.com/v": snapshotter},
                backup_item_actions={action.name: action},
                restore_item_actions={action.name: action},
                delete_item_actions={action.name: action},
                item_block_actions={block.name: block},
            )
        ]
    )

    assert manager.object_store_factory("example.com/s") is store
    assert manager.volume_snapshotter("example.com/v") is snapshotter
    assert manager.backup_item_actions() == (action,)
    assert manager.restore_item_actions() == (action,)
    assert manager.delete_item_actions() == (action,)
    assert manager.item_block_actions() == (block,)
    assert {info.kind for info in manager.list_plugins()} == {
        kind for kind in PluginKind if kind not in {"Observer", ""}
    }


def test_managers_share_nothing():
    """Two managers in one process know only their own plugins."""
    one = PluginManager([plugin(object_stores=stores(s=ObjectStoreFactory(open=open)))])
    other = PluginManager([])

    assert list(one.object_store_factories) == ["example.com/s"]
    assert list(other.object_store_factories) == []


# --- providers ------------------------------------------------------------------------


@pytest.mark.parametrize("asked", ["aws", "velero.io/aws", "old.io/aws", "s3"])
def test_ways_to_name_a_store(asked):
    """A bare name, a full name, an alias and a scheme select the same factory."""
    factory = ObjectStoreFactory(
        open=open_store, schemes=("s3",), aliases=("old.io/aws",)
    )
    manager = PluginManager([plugin(object_stores={"velero.io/aws": factory})])

    assert manager.object_store_factory(asked) is factory


def test_unknown_provider_names_what_there_is():
    """The error about an unknown provider says which providers there are."""
    factory = ObjectStoreFactory(open=open_store)
    manager = PluginManager([plugin(object_stores=stores(one=factory, two=factory))])

    with pytest.raises(PluginNotFoundError) as caught:
        manager.object_store_factory("gcp")

    assert "'gcp'" in str(caught.value)
    assert "example.com/one, example.com/two" in str(caught.value)
    assert caught.value.plugin == "gcp"


def test_unknown_provider_names_what_is_broken():
    """The advice about an unknown provider names plugins that failed to load."""
    broken = plugin("broken_gcp", object_stores=RuntimeError("no licence"))

    with pytest.raises(PluginNotFoundError) as caught:
        PluginManager([broken]).object_store_factory("gcp")

    assert "broken_gcp" in caught.value.hint
    assert "no licence" in caught.value.hint


@pytest.mark.parametrize(
    ("module", "extra", "command"),
    [
        ("kbackup_plugins_aws", "aws", "pip install 'kbackup[aws]'"),
        ("their_plugin", "their-plugin[s3]", "pip install 'their-plugin[s3]'"),
        ("their_plugin", "", "pip install no_such_sdk"),
    ],
)
def test_half_installed_extra(module, extra, command):
    """A provider without its SDK is listed with the command, an error when selected."""
    factory = ObjectStoreFactory(
        open=open_store, requires=("attrs", "no_such_sdk"), extra=extra
    )
    manager = PluginManager([plugin(module, object_stores=stores(s=factory))])

    (info,) = manager.list_plugins()
    assert not info.available
    assert info.cause == f"needs no_such_sdk: {command}"
    assert dict(manager.object_store_factories) == {}
    with pytest.raises(PluginLoadError, match="needs no_such_sdk") as caught:
        manager.object_store_factory("example.com/s")
    assert caught.value.hint == command


def test_requirement_in_a_missing_package():
    """A requirement below a package that is not there is missing, not a crash."""
    factory = ObjectStoreFactory(open=open_store, requires=("no_such.sdk.client",))
    manager = PluginManager([plugin(object_stores=stores(s=factory))])

    with pytest.raises(PluginLoadError, match=r"no_such\.sdk\.client"):
        manager.object_store_factory("example.com/s")


# --- addresses ------------------------------------------------------------------------


def factory_for(scheme, from_url):
    """A plugin whose store answers to a scheme."""
    factory = ObjectStoreFactory(open=open_store, schemes=(scheme,), from_url=from_url)
    return plugin(object_stores=stores(s=factory))


def test_address_becomes_a_location():
    """The plugin that knows the scheme makes the location, whatever the case."""
    spec = BackupStorageLocationSpec(provider="example.com/s")
    manager = PluginManager([factory_for("mem", lambda url: spec)])

    assert manager.spec_for_url("MEM://bucket/prefix") is spec


def test_unknown_scheme():
    """An unknown scheme is refused with the known ones, and no password is shown."""
    manager = PluginManager([factory_for("mem", lambda url: None)])

    with pytest.raises(UnknownLocationError) as caught:
        manager.spec_for_url("gs://user:hunter2@bucket")

    assert "gs://" in str(caught.value)
    assert "mem://" in str(caught.value)
    assert "hunter2" not in str(caught.value) + caught.value.hint


@pytest.mark.parametrize("url", ["backups/prod", "http://[", ""])
def test_no_scheme(url):
    """An address that has no scheme, or none that can be read, is refused."""
    with pytest.raises(UnknownLocationError, match="no scheme"):
        PluginManager([]).spec_for_url(url)


def test_store_that_reads_no_address():
    """A store known by scheme that reads no addresses says so."""
    manager = PluginManager([factory_for("mem", None)])

    with pytest.raises(UnknownLocationError, match="cannot read an address mem://"):
        manager.spec_for_url("mem://x")


def test_plugin_that_fails_on_an_address():
    """A foreign error on an address becomes ours and does not repeat the address."""

    def fail(url):
        raise LookupError(url)

    manager = PluginManager([factory_for("mem", fail)])

    with pytest.raises(PluginError, match=r"example\.com/s failed") as caught:
        manager.spec_for_url("mem://user:hunter2@x")
    assert "hunter2" not in str(caught.value)
    assert isinstance(caught.value.__cause__, LookupError)


def test_plugin_that_reads_nothing_of_an_address():
    """A plugin that returns no location for an address is named."""
    manager = PluginManager([factory_for("mem", lambda _: None)])

    with pytest.raises(PluginError, match="returned a NoneType, not a BackupStorage"):
        manager.spec_for_url("mem://x")


def test_plugin_that_refuses_an_address():
    """Our own error about an address comes through as it is."""

    def refuse(url):
        raise InvalidConfigError("the address names no bucket")

    manager = PluginManager([factory_for("mem", refuse)])

    with pytest.raises(InvalidConfigError, match="names no bucket"):
        manager.spec_for_url("mem://")


# --- clashes --------------------------------------------------------------------------


def test_clash_of_actions_names_both():
    """Two plugins with one action name are an error that names both."""
    action = Action("example.com/a")
    rivals = [plugin(m, restore_item_actions={action.name: action}) for m in "xy"]
    manager = PluginManager(rivals)

    with pytest.raises(PluginConflictError) as caught:
        manager.restore_item_actions()

    assert "'example.com/a'" in str(caught.value)
    assert "module x and module y" in str(caught.value)
    assert manager.backup_item_actions() == ()


@pytest.mark.parametrize(
    ("left", "right", "asked"),
    [
        ({}, {}, "example.com/s"),
        ({}, {"aliases": ("example.com/s",)}, "example.com/s"),
        ({"schemes": ("mem",)}, {"schemes": ("mem",)}, "mem"),
    ],
    ids=["names", "name and alias", "schemes"],
)
def test_clash_of_stores(left, right, asked):
    """Two stores that answer to one name are an error when it is asked for."""
    other = "s" if asked == "example.com/s" and not right else "t"
    manager = PluginManager(
        [
            plugin("x", object_stores=stores(s=ObjectStoreFactory(open=open, **left))),
            plugin(
                "y",
                object_stores=stores(**{other: ObjectStoreFactory(open=open, **right)}),
            ),
        ]
    )

    with pytest.raises(PluginConflictError, match="module x and module y"):
        manager.object_store_factory(asked)


def test_clash_is_listed():
    """Both sides of a clash are listed as unavailable, each naming the other."""
    factory = ObjectStoreFactory(open=open_store)
    manager = PluginManager(
        [plugin(m, object_stores=stores(s=factory)) for m in ("x", "y")]
    )

    infos = manager.list_plugins()

    assert [info.cause for info in infos] == [
        "also offered by module y",
        "also offered by module x",
    ]
    assert dict(manager.object_store_factories) == {}


def test_disabling_one_side_ends_a_clash():
    """With one plugin left out the name belongs to the other."""
    action = Action("example.com/a")
    rivals = [plugin(m, restore_item_actions={action.name: action}) for m in "xy"]

    manager = PluginManager(rivals, disable=["x"])

    assert manager.restore_item_actions() == (action,)


# --- order ----------------------------------------------------------------------------


def test_order_of_actions():
    """Built-in ones run first by version and name, then others by plugin and name."""
    names = {
        "kbackup.actions": [("velero.io/b", 1), ("velero.io/a", 2), ("velero.io/c", 1)],
        "zoo": [("aaa.io/z", 1), ("aaa.io/y", 2)],
        "ant": [("zzz.io/q", 1)],
    }
    plugins = [
        plugin(
            module, restore_item_actions={name: Action(name, v) for name, v in offered}
        )
        for module, offered in reversed(names.items())
    ]

    assert restore_names(PluginManager(plugins)) == [
        "velero.io/b",
        "velero.io/c",
        "velero.io/a",
        "zzz.io/q",
        "aaa.io/y",
        "aaa.io/z",
    ]


# --- switches -------------------------------------------------------------------------


@pytest.mark.parametrize("switch", ["velero.io/pod", "pod"])
def test_disable_one_name(switch):
    """One thing offered can be left out by its name; the rest of its plugin stays."""
    pod, job = Action("velero.io/pod"), Action("velero.io/job")
    offered = {pod.name: pod, job.name: job}

    manager = PluginManager([plugin(restore_item_actions=offered)], disable=[switch])

    assert restore_names(manager) == ["velero.io/job"]
    (left_out,) = [info for info in manager.list_plugins() if not info.available]
    assert (left_out.name, left_out.cause) == ("velero.io/pod", "disabled")


def test_disable_what_is_not_there(caplog):
    """A switch that meets nothing is said to the log: it may be misspelt."""
    PluginManager([], disable=["velero.io/pdo"]).list_plugins()

    assert "no plugin 'velero.io/pdo' to disable" in caplog.text


def test_strict():
    """With strict a broken plugin is an error at the first question."""
    manager = PluginManager(
        [plugin("broken", object_stores=RuntimeError("no licence"))], strict=True
    )

    with pytest.raises(PluginLoadError, match=r"module broken .* no licence") as caught:
        manager.restore_item_actions()
    assert isinstance(caught.value.__cause__, RuntimeError)


# --- faults ---------------------------------------------------------------------------


class AsyncAction(Action):
    """An action written for another world."""

    async def execute(self, given):
        """Answer without a change."""
        return BackupOutput(item=given.item)


class GreedyAction(Action):
    """An action with the signature of Velero's."""

    def execute(self, item, backup):
        """Answer without a change."""
        return BackupOutput(item=item)


class HalfAction(Action):
    """An action whose begin forgets the cluster."""

    def begin(self, given):
        """Start nothing."""
        return


def with_selector(selector):
    """An action that applies to *selector*."""
    action = Action("example.com/a")
    action.applies_to = selector
    return action


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        (Action, "is the class Action: offer an instance"),
        (Action("example.com/b"), "whose own name is 'example.com/b'"),
        (object(), "whose own name is None"),
        (with_selector({"included_resources": ["pods"]}), "not a ResourceSelector"),
        (with_selector(ResourceSelector(label_selector="a=(")), "applies_to: "),
        (Action("example.com/a", version=3), "speaks version 3"),
        (
            SimpleNamespace(name="example.com/a", applies_to=ResourceSelector()),
            "example.com/a has no method execute",
        ),
        (AsyncAction("example.com/a"), "execute is async"),
        (
            GreedyAction("example.com/a"),
            "execute(item, backup) cannot be called with one argument",
        ),
        (
            HalfAction("example.com/a"),
            "begin(given) cannot be called with 2 arguments",
        ),
    ],
)
def test_unfit_action(value, fault):
    """An action that could not be called is refused at once, in readable words."""
    manager = PluginManager([plugin(restore_item_actions={"example.com/a": value})])

    (info,) = manager.list_plugins()

    assert not info.available
    assert fault in info.cause
    assert "kbackup_register_restore_item_actions" in info.cause
    assert manager.restore_item_actions() == ()


@pytest.mark.parametrize(
    ("offered", "fault"),
    [
        ([], "returned list, not a mapping from names"),
        (None, "returned NoneType, not a mapping"),
        ({"aws": ObjectStoreFactory(open=open_store)}, "'aws' has no prefix"),
        ({"example.com/s": open_store}, "write ObjectStoreFactory(open=...)"),
        (stores(s=ObjectStoreFactory(open=None)), "has no method open"),
        (stores(s=ObjectStoreFactory(open=7)), "open is a int and cannot be called"),
        (stores(s=ObjectStoreFactory(open=dict.fromkeys)), ""),
        (
            stores(s=ObjectStoreFactory(open=lambda: None)),
            "open() cannot be called with one argument",
        ),
        (
            stores(s=ObjectStoreFactory(open=open_store, schemes="s3")),
            "schemes is not a tuple of texts",
        ),
        (
            stores(s=ObjectStoreFactory(open=open_store, aliases=("local",))),
            "alias of example.com/s: the name 'local' has no prefix",
        ),
    ],
)
def test_unfit_store(offered, fault):
    """A provider that could not be opened is refused at once, in readable words."""
    manager = PluginManager([plugin(object_stores=offered)])

    (info,) = manager.list_plugins()

    assert fault in info.cause
    assert info.available is (fault == "")


def test_half_registered_plugin_is_rolled_back():
    """A plugin of which one hook fails offers nothing through the others either."""
    action = Action("example.com/a")
    half = plugin(
        "half",
        object_stores=stores(s=ObjectStoreFactory(open=open_store)),
        restore_item_actions=ValueError("second hook"),
        backup_item_actions={action.name: action},
    )
    half.kbackup_event = hookimpl(lambda event: None)
    whole = plugin("whole", restore_item_actions={action.name: action})

    manager = PluginManager([half, whole])

    assert manager.backup_item_actions() == ()
    assert dict(manager.object_store_factories) == {}
    assert not manager.observed
    assert manager.restore_item_actions() == (action,)


def test_secrets_stay_out_of_faults():
    """A fault names the type of a wrong value, not the value: it may be a secret."""

    @attrs.frozen
    class Credentials:
        password: str

    offered = {"example.com/s": Credentials("hunter2")}

    (info,) = PluginManager([plugin(object_stores=offered)]).list_plugins()

    assert "a Credentials" in info.cause
    assert "hunter2" not in info.cause


def test_misspelt_hook():
    """An implementation of a hook that does not exist is a fault with a suggestion."""
    module = SimpleNamespace(__name__="typo")
    module.kbackup_register_object_store = hookimpl(
        make_hook("kbackup_register_object_store", {})
    )

    (info,) = PluginManager([module]).list_plugins()

    assert info.cause == (
        "there is no hook kbackup_register_object_store; "
        "the nearest hook is kbackup_register_object_stores"
    )


def test_hook_with_unknown_argument():
    """An implementation that asks for an argument which is not offered is a fault."""
    module = SimpleNamespace(__name__="greedy")
    module.kbackup_event = hookimpl(lambda event, cluster: None)

    (info,) = PluginManager([module]).list_plugins()

    assert "cluster" in info.cause
    assert not info.available


def test_lazy_modules_stay_lazy():
    """Loading a plugin does not resolve the lazy names of its module."""

    class Lazy:
        __name__ = "lazy"

        def __dir__(self):
            return ["heavy_sdk", "kbackup_event"]

        def __getattr__(self, name):
            raise AssertionError(f"{name} was resolved")

        @hookimpl
        def kbackup_event(self, event):
            return None

    assert PluginManager([Lazy()], strict=True).observed


# --- events ---------------------------------------------------------------------------


@pytest.fixture
def run():
    """The run of a backup."""
    return Run(uid="u-1", kind="backup", name="shop-1")


STARTED = RunStarted(kind="backup", name="shop-1")


def observer(name, function):
    """A plugin that only observes."""

    class Plugin:
        __name__ = name
        kbackup_event = staticmethod(hookimpl(function))

    return Plugin()


def test_observers_are_told(run):
    """Each observing plugin gets the event, with the run if it asks for it."""
    seen = []

    def see(event):
        seen.append(event)

    manager = PluginManager(
        [
            observer("x", see),
            observer("y", lambda event, run: seen.append((run, event))),
        ]
    )

    manager.emit(STARTED, run)

    assert seen == [STARTED, (run, STARTED)]
    assert {info.kind for info in manager.list_plugins()} == {PluginKind.OBSERVER}


@pytest.mark.parametrize("error", [ValueError("boom"), SystemExit(1)])
def test_failing_observer(run, caplog, error):
    """An observer's error is logged as its fault, once a run, and others are told."""

    def fail(event):
        raise error

    def see(event):
        seen.append(event)

    seen = []
    manager = PluginManager([observer("bad", fail), observer("good", see)])

    with caplog.at_level(logging.DEBUG, logger="kbackup"):
        manager.emit(STARTED, run)
        manager.emit(RunEnded(phase="Completed"), run)

    assert seen == [STARTED, RunEnded(phase="Completed")]
    (record,) = caplog.records
    assert "the observer of module bad failed on RunStarted" in record.getMessage()
    assert record.levelno == logging.ERROR


def test_interrupt_is_not_swallowed(run):
    """Ctrl-C while an observer runs reaches the host."""

    def interrupted(event):
        raise KeyboardInterrupt

    manager = PluginManager([observer("slow", interrupted)])

    with pytest.raises(KeyboardInterrupt):
        manager.emit(STARTED, run)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            {"plugins": ["kbackup.actions"]},
            "expected modules, got the string 'kbackup.ac",
        ),
        ({"plugins": "actions"}, "expected modules, got the string 'a'"),
        ({"disable": "sqlite"}, "disable: expected names, got the string 'sqlite'"),
    ],
    ids=["name-of-a-module", "string", "one-name"],
)
def test_strings_are_no_plugins(given, said):
    """A host that names modules, or one switch, hears of it: it would run without any."""
    with pytest.raises(TypeError, match=said):
        PluginManager(**given)


@pytest.mark.parametrize(
    "nothing",
    [textwrap, SimpleNamespace(__name__="textwrap", x=1)],
    ids=["module", "x"],
)
def test_what_implements_no_hook_is_no_plugin(nothing):
    """A host that gives the wrong module hears of it, not of a backup without a plugin."""
    with pytest.raises(TypeError, match="textwrap: it implements no hook"):
        PluginManager([nothing])
