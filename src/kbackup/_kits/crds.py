"""What a CustomResourceDefinition says of its versions, in v1 as in v1beta1. Pure.

Objects of a type lie in etcd in one version, the storage version. Whoever reads or
writes them in another one makes the API server convert them, by a webhook where the
definition names one; in the storage version they need no webhook.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Definition = Mapping[str, Any]


def storage_version(definition: Definition) -> str:
    """Return the version in which new objects are stored; empty: it does not say."""
    spec = definition.get("spec") or {}
    versions = spec.get("versions") or ()
    stored = (each.get("name") for each in versions if each.get("storage"))
    # Before there were several, v1beta1 had one version beside the list.
    return str(next(stored, None) or ("" if versions else spec.get("version")) or "")


def served_versions(definition: Definition) -> tuple[str, ...]:
    """Return the versions in which objects can be read and written."""
    spec = definition.get("spec") or {}
    versions = spec.get("versions")
    if not versions:  # as above
        return (str(spec["version"]),) if spec.get("version") else ()
    return tuple(str(each["name"]) for each in versions if each.get("served"))


def has_status(definition: Definition, version: str) -> bool:
    """Return whether the status of objects in a version is a sub-resource."""
    spec = definition.get("spec") or {}
    named = (each for each in spec.get("versions") or () if each.get("name") == version)
    own = (next(named, None) or {}).get("subresources")
    # In v1beta1 they could be those of all versions.
    return "status" in (own or spec.get("subresources") or {})


def conversion_webhook(definition: Definition) -> str:
    """Return who converts between versions; empty: nobody has to be asked.

    A Service as ``namespace/name``, or a URL.
    """
    conversion = (definition.get("spec") or {}).get("conversion") or {}
    if conversion.get("strategy") != "Webhook":
        return ""
    nested = (conversion.get("webhook") or {}).get("clientConfig")
    config = nested or conversion.get("webhookClientConfig") or {}  # v1, v1beta1
    service = config.get("service")
    if service:
        return f"{service.get('namespace', '')}/{service.get('name', '')}"
    return str(config.get("url") or "that it does not name")
