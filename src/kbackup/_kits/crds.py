"""What a CustomResourceDefinition says of its versions, in v1 as in v1beta1. Pure.

Objects of a type lie in etcd in one version, the storage version. Whoever reads or
writes them in another one makes the API server convert them, by a webhook where the
definition names one; in the storage version they need no webhook.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kbackup._kits.nested import mapping_at, objects_at

Definition = Mapping[str, Any]

_VERSIONS = ("spec", "versions")


def storage_version(definition: Definition) -> str:
    """Return the version in which new objects are stored; empty: it does not say."""
    spec, versions = mapping_at(definition, "spec"), objects_at(definition, *_VERSIONS)
    stored = (each.get("name") for each in versions if each.get("storage"))
    # Before there were several, v1beta1 had one version beside the list.
    return str(next(stored, None) or ("" if versions else spec.get("version")) or "")


def served_versions(definition: Definition) -> tuple[str, ...]:
    """Return the versions in which objects can be read and written."""
    spec, versions = mapping_at(definition, "spec"), objects_at(definition, *_VERSIONS)
    if not versions:  # as above
        return (str(spec["version"]),) if spec.get("version") else ()
    return tuple(str(each.get("name")) for each in versions if each.get("served"))


def has_status(definition: Definition, version: str) -> bool:
    """Return whether the status of objects in a version is a sub-resource."""
    versions = objects_at(definition, *_VERSIONS)
    named = (each for each in versions if each.get("name") == version)
    own = mapping_at(next(named, None), "subresources")
    # In v1beta1 they could be those of all versions.
    return "status" in (own or mapping_at(definition, "spec", "subresources"))


def conversion_webhook(definition: Definition) -> str:
    """Return who converts between versions; empty: nobody has to be asked.

    A Service as ``namespace/name``, or a URL.
    """
    conversion = mapping_at(definition, "spec", "conversion")
    if conversion.get("strategy") != "Webhook":
        return ""
    config = mapping_at(conversion, "webhook", "clientConfig")
    config = config or mapping_at(conversion, "webhookClientConfig")  # v1, v1beta1
    if service := mapping_at(config, "service"):
        return f"{service.get('namespace', '')}/{service.get('name', '')}"
    return str(config.get("url") or "that it does not name")
