"""A Released volume, offered again to the claim that had it.

Pure: the patch that offers it, and whether that is done already.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from kbackup.models import ResourceIdentifier


def rebind_patch(target: ResourceIdentifier) -> dict[str, Any]:
    """The merge patch that offers a Released volume to a claim again."""
    return {
        "spec": {
            "claimRef": {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "namespace": target.namespace,
                "name": target.name,
                "uid": None,
                "resourceVersion": None,
            }
        }
    }


def rebind_digest(target: ResourceIdentifier) -> str:
    """SHA-256 of `rebind_patch`, in hexadecimal: a plan holds its writer to it."""
    patch = json.dumps(rebind_patch(target), sort_keys=True)
    return hashlib.sha256(patch.encode()).hexdigest()


def is_offered(volume: Mapping[str, Any], target: ResourceIdentifier) -> bool:
    """Whether a volume waits for a claim, or is bound to it, by its name."""
    reference = (volume.get("spec") or {}).get("claimRef") or {}
    owner = f"{reference.get('namespace', '')}/{reference.get('name', '')}"
    bound = (volume.get("status") or {}).get("phase") == "Bound"
    return owner == target.qualified_name and (bound or not reference.get("uid"))
