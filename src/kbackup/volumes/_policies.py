"""What resource policies say of a volume: skip, snapshot, fs-backup, custom, or nothing.

Pure; asked by the backup engine for each claim. Nothing here touches a volume.

Source: Velero ``internal/resourcepolicies``; of a claim that is not bound it looks at
labels and phase only, here at the size and the class that it asks for as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from functools import lru_cache
from typing import Any

import attrs

from kbackup._kits.nested import mapping_at, text_at
from kbackup._kits.quantities import QuantityError, parse_quantity
from kbackup._kits.storage_classes import storage_class_of
from kbackup._kits.volume_sources import volume_source_of
from kbackup.models import (
    CSICondition,
    NFSCondition,
    ResourcePolicies,
    VolumeAction,
    VolumeConditions,
)

_JSON = Mapping[str, Any]


def decide_action(
    policies: ResourcePolicies,
    *,
    volume: _JSON | None = None,
    claim: _JSON | None = None,
    pod_volume: _JSON | None = None,
) -> VolumeAction | None:
    """Return the action of the first policy whose conditions all hold.

    Args:
        policies: Valid ones.
        volume: The PersistentVolume, as the API has it; None: there is none.
        claim: The PersistentVolumeClaim that is bound to it, or waits for one.
        pod_volume: The element of a Pod's ``spec.volumes``; what it comes from counts
            only where there is no PersistentVolume.

    Returns:
        None where no policy matches: the ordinary rules hold.
    """
    facts = _facts_of(volume, claim, pod_volume)
    for policy in policies.volume_policies:
        if _holds(policy.conditions, facts):
            return policy.action
    return None


@attrs.frozen(kw_only=True)
class _Facts:
    """What conditions ask of a volume.

    Attributes:
        size: Bytes; 0 where nobody says.
        source: The name of its source; empty where there is none yet.
        detail: The fields of that source.
    """

    size: Fraction
    storage_class: str
    source: str
    detail: _JSON
    claim_labels: _JSON
    claim_phase: str


def _facts_of(
    volume: _JSON | None, claim: _JSON | None, pod_volume: _JSON | None
) -> _Facts:
    if volume is not None:
        size = text_at(volume, "spec", "capacity", "storage")
        source, detail = volume_source_of(mapping_at(volume, "spec"))
    else:
        size = text_at(claim, "spec", "resources", "requests", "storage")
        source, detail = volume_source_of(pod_volume or {})
    owner = volume if volume is not None else claim
    return _Facts(
        size=_bytes(size),
        storage_class=storage_class_of(owner or {}) or "",
        source=source,
        detail=detail,
        claim_labels=mapping_at(claim, "metadata", "labels"),
        claim_phase=text_at(claim, "status", "phase"),
    )


def _bytes(text: str) -> Fraction:
    try:
        return parse_quantity(text)
    except QuantityError:
        return Fraction(0)


def _holds(asked: VolumeConditions, facts: _Facts) -> bool:
    labels = facts.claim_labels
    return (
        _is_in_range(asked.capacity, facts.size)
        and _is_one_of(facts.storage_class, asked.storage_class)
        and _is_one_of(facts.source, asked.volume_types)
        and (asked.nfs is None or _is_nfs(asked.nfs, facts))
        and (asked.csi is None or _is_csi(asked.csi, facts))
        and all(labels.get(key) == value for key, value in asked.pvc_labels.items())
        and _is_one_of(facts.claim_phase, asked.pvc_phase)
    )


def _is_one_of(value: str, wanted: tuple[str, ...]) -> bool:
    """Whether a condition that is a list holds; what is not known is in none."""
    return not wanted or (value != "" and value in wanted)


def _is_in_range(capacity: str, size: Fraction) -> bool:
    least, most = _range(capacity)
    return least <= size and (not most or size <= most)


@lru_cache
def _range(capacity: str) -> tuple[Fraction, Fraction]:
    """Return the bounds; an upper one of zero is none."""
    least, _, most = capacity.partition(",")
    return parse_quantity(least.strip() or "0"), parse_quantity(most.strip() or "0")


def _is_nfs(asked: NFSCondition, facts: _Facts) -> bool:
    server, path = text_at(facts.detail, "server"), text_at(facts.detail, "path")
    return (
        facts.source == "nfs"
        and asked.server in ("", server)
        and asked.path in ("", path)
    )


def _is_csi(asked: CSICondition, facts: _Facts) -> bool:
    attributes = mapping_at(facts.detail, "volumeAttributes")
    return (
        facts.source == "csi"
        and asked.driver in ("", text_at(facts.detail, "driver"))
        and all(attributes.get(k) == v for k, v in asked.volume_attributes.items())
    )
