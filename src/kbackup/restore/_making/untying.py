"""Claims and volumes that are to be written, untied from what they were bound to.

What becomes of each is decided in `_plan.claims`.
"""

from collections.abc import Mapping
from typing import Any

from kbackup._kits.normalise import BIND_ANNOTATIONS, BOUND_BY_CONTROLLER
from kbackup.restore._plan.claims import ClaimLine, ClaimVerdict


def reset_claim(claim: dict[str, Any], line: ClaimLine | None = None) -> None:
    """Untie a claim from its old volume, in place, or leave it tied to it.

    Args:
        claim: As it would be written.
        line: What becomes of it, where that is decided.
    """
    keep_volume = line is not None and line.keeps_volume
    exists = line is not None and line.verdict is ClaimVerdict.EXISTS
    annotations = claim["metadata"].get("annotations")
    for name in BIND_ANNOTATIONS if annotations else ():
        annotations.pop(name, None)
    spec = claim.get("spec") or {}
    if spec.get("volumeName") and not exists:  # a live one's origin cannot be changed
        _forget_origin(spec)
    if not keep_volume:
        spec.pop("volumeName", None)


def _forget_origin(spec: dict[str, Any]) -> None:
    """Drop what only made the volume that a bound claim had: it has done its work.

    The target has neither that snapshot nor that volume, and the claim would wait for it
    for ever. A claim without storage class is never provisioned for: there the selector
    chooses the volume.
    Source: Velero 1.18 ``pkg/backup/actions/backup_pv_action.go``.
    """
    spec.pop("dataSource", None)
    spec.pop("dataSourceRef", None)
    if spec.get("storageClassName") != "":
        spec.pop("selector", None)


def reset_volume(volume: dict[str, Any], namespaces: Mapping[str, str]) -> None:
    """Point a volume at its claim in the target, in place."""
    annotations = volume["metadata"].get("annotations")
    if annotations:
        annotations.pop(BOUND_BY_CONTROLLER, None)
    reference = (volume.get("spec") or {}).get("claimRef")
    if reference:
        reference.pop("uid", None)
        reference.pop("resourceVersion", None)
        namespace = reference.get("namespace", "")
        reference["namespace"] = namespaces.get(namespace, namespace)
