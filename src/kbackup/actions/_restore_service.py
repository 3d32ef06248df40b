"""Restore Services with addresses and node ports of the target's choosing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from kbackup._kits.edit import JSONObject, each_changed, without
from kbackup._kits.nested import mapping_at, objects_at, text_at
from kbackup._kits.normalise import LAST_APPLIED
from kbackup.models import ResourceSelector
from kbackup.plugins import RestoreInput, RestoreOutput

_HEADLESS = "None"  # the API's word for a Service that has no address
_HEALTH_CHECK = "healthCheckNodePort"

_Asked = Callable[[JSONObject], bool]


class ServiceAction:
    """Let the target choose addresses and node ports (``velero.io/service``).

    What the user asked for stays: a node port that stands in kubectl's last-applied
    annotation or, where there is no such annotation, in managedFields.
    """

    name = "velero.io/service"
    applies_to = ResourceSelector(included_resources=("services",))

    def execute(self, given: RestoreInput) -> RestoreOutput:
        """Drop what the source cluster chose, unless node ports are to be preserved."""
        item = given.item
        if text_at(item, "spec", "clusterIP") != _HEADLESS:
            item = without(item, ("spec",), ("clusterIP", "clusterIPs"))
        if not given.restore.spec.preserve_node_ports:
            item = _without_node_ports(item, given.item_from_backup)
            item = _without_health_check_port(item, given.item_from_backup)
        return RestoreOutput(item=item)


def _without_node_ports(service: JSONObject, stored: JSONObject) -> JSONObject:
    if text_at(service, "spec", "type") == "ExternalName":  # has none
        return service
    asked = _asked_for(stored)
    return each_changed(
        service,
        ("spec", "ports"),
        lambda port: port if asked(port) else without(port, (), ("nodePort",)),
    )


def _asked_for(stored: JSONObject) -> _Asked:
    """Return the test whether a port's nodePort was the user's wish."""
    applied = _last_applied(stored)
    return _in_fields(stored) if applied is None else _in_applied(applied)


def _in_applied(applied: JSONObject) -> _Asked:
    """Match ports with a name by name, those without by the node port itself."""
    wished = [p for p in objects_at(applied, "spec", "ports") if _number(p, "nodePort")]
    names = {text_at(port, "name") for port in wished} - {""}
    numbers = {_number(port, "nodePort") for port in wished if not port.get("name")}

    def asked(port: JSONObject) -> bool:
        if name := text_at(port, "name"):
            return name in names
        return _number(port, "nodePort") in numbers

    return asked


def _in_fields(stored: JSONObject) -> _Asked:
    """Match ports by number and protocol, the key of the list in managedFields."""
    keys = {
        key
        for entry in objects_at(stored, "metadata", "managedFields")
        for key, fields in mapping_at(entry, "fieldsV1", "f:spec", "f:ports").items()
        if isinstance(fields, dict) and "f:nodePort" in fields
    }
    wished = {_port_key(key) for key in keys}
    return lambda port: (port.get("port"), port.get("protocol", "TCP")) in wished


def _port_key(key: str) -> tuple[Any, Any]:
    """Read ``k:{"port":80,"protocol":"TCP"}``."""
    try:
        fields = msgspec.json.decode(key.removeprefix("k:"))
    except msgspec.DecodeError:
        return (None, None)
    if not isinstance(fields, dict):
        return (None, None)
    return (fields.get("port"), fields.get("protocol", "TCP"))


def _without_health_check_port(service: JSONObject, stored: JSONObject) -> JSONObject:
    spec = mapping_at(service, "spec")
    local = spec.get("externalTrafficPolicy") == "Local"
    if spec.get("type") != "LoadBalancer" or not local:  # the API keeps it nowhere else
        return service
    applied = _last_applied(stored)
    if applied is not None and _number(mapping_at(applied, "spec"), _HEALTH_CHECK):
        return service
    for entry in objects_at(stored, "metadata", "managedFields"):
        if f"f:{_HEALTH_CHECK}" in mapping_at(entry, "fieldsV1", "f:spec"):
            return service
    return without(service, ("spec",), (_HEALTH_CHECK,))


def _last_applied(stored: JSONObject) -> JSONObject | None:
    """Return what kubectl applied last; None where it says nothing readable."""
    text = text_at(stored, "metadata", "annotations", LAST_APPLIED)
    if not text:
        return None
    try:
        applied = msgspec.json.decode(text)
    except msgspec.DecodeError:
        return None
    return applied if isinstance(applied, dict) else None


def _number(port: JSONObject, key: str) -> int:
    """Return a port number; 0 where there is none. People write it as text, too."""
    value = port.get(key)
    if isinstance(value, str) and value.isdecimal():
        return int(value)
    return int(value) if isinstance(value, int | float) else 0
