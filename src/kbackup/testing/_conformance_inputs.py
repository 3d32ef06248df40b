"""What an item action is given where no author chose it: any objects that it is for."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from kbackup.models import GroupResource
from kbackup.plugins import ClusterReader, PluginKind
from kbackup.plugins.engine import ActionIndex
from kbackup.testing._action_clusters import RecordingCluster, delete_input, plural_of
from kbackup.testing._action_inputs import (
    StaticClusterReader,
    backup_input,
    restore_input,
)

_Item = Mapping[str, Any]
_Maker = Callable[[str, _Item, ClusterReader], Any]


def inputs_of(
    kind: PluginKind, action: Any, items: Sequence[_Item]
) -> dict[str, Callable[[], Any]]:
    """Return what an action is given about those of *items* that it applies to.

    By a name for people, made anew by each call: an action may change what it is given.
    Each item comes a second time with nothing but metadata.
    """
    by_resource: dict[str, list[_Item]] = {}
    for item in items:
        by_resource.setdefault(_resource_of(item), []).append(item)
    reader = StaticClusterReader(by_resource)
    index = ActionIndex((action,), reader.resolve)
    make = _MAKERS[kind]
    inputs: dict[str, Callable[[], Any]] = {}
    for resource, alike in by_resource.items():
        for item in alike:
            metadata = item["metadata"]
            namespace, labels = metadata.get("namespace", ""), metadata.get("labels")
            found = index.for_type(GroupResource.parse(resource))
            if any(each.wants(namespace, labels) for each in found):
                name = f"{resource} {metadata['name']}"
                bare = {key: item[key] for key in ("apiVersion", "kind", "metadata")}
                inputs[name] = partial(_made, make, resource, item, reader)
                inputs[f"{name} without spec"] = partial(
                    _made, make, resource, bare, reader
                )
    return inputs


def _made(make: _Maker, resource: str, item: _Item, cluster: ClusterReader) -> Any:
    return make(resource, copy.deepcopy(item), cluster)


def _given_for_backup(resource: str, item: _Item, cluster: ClusterReader) -> Any:
    return backup_input(resource, item, cluster=cluster)


def _given_for_restore(resource: str, item: _Item, cluster: ClusterReader) -> Any:
    return restore_input(resource, item, cluster=cluster)


def _given_for_deletion(resource: str, item: _Item, cluster: ClusterReader) -> Any:
    return delete_input(resource, item, cluster=RecordingCluster(cluster))


_MAKERS: Mapping[PluginKind, _Maker] = {
    PluginKind.BACKUP_ITEM_ACTION: _given_for_backup,
    PluginKind.ITEM_BLOCK_ACTION: _given_for_backup,
    PluginKind.RESTORE_ITEM_ACTION: _given_for_restore,
    PluginKind.DELETE_ITEM_ACTION: _given_for_deletion,
}


def _resource_of(item: _Item) -> str:
    """Return the full name of an object's type."""
    group, slash, _ = str(item["apiVersion"]).partition("/")
    plural = plural_of(str(item["kind"]))
    return f"{plural}.{group}" if slash else plural
