"""What is kept of claims and volumes while they are stored, and what policies say of them.

Of each claim its name and its volume; where policies have to be asked, of claims and
volumes the few fields that they look at, as JSON. Used by one thread at a time.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import zip_longest
from typing import Any

import msgspec

from kbackup._kits.nested import mapping_at, text_at
from kbackup._kits.storage_classes import storage_class_of
from kbackup._kits.words import first_few
from kbackup.backup._reads import Reads
from kbackup.catalog import VolumeRecord
from kbackup.models import Item, ResourceIdentifier, ResourcePolicies, well_known
from kbackup.plugins import Run
from kbackup.volumes import decide_action

_JSON = Mapping[str, Any]


class Claims:
    """The claims of one run.

    Args:
        policies: Of the backup; None: nobody is asked.
    """

    def __init__(self, policies: ResourcePolicies | None) -> None:
        self._policies = policies if policies and policies.volume_policies else None
        self._bound: list[tuple[str, str]] = []  # claim and volume, in their order
        self._claims: list[bytes] = []  # alike
        self._volumes: dict[str, bytes] = {}

    def note(self, identifier: ResourceIdentifier, item: _JSON) -> None:
        """Keep what counts of a stored claim or volume; other items are passed over."""
        type_ = identifier.group_resource
        if type_ == well_known.PERSISTENT_VOLUME_CLAIMS:
            volume = text_at(item, "spec", "volumeName")
            self._bound.append((identifier.qualified_name, volume))
            if self._policies is not None:
                self._claims.append(_kept(item))
        elif type_ == well_known.PERSISTENT_VOLUMES and self._policies is not None:
            self._volumes[identifier.name] = _kept(item)

    def unknown_volumes(self) -> list[ResourceIdentifier]:
        """Return the volumes that policies are to be asked about and that nobody noted."""
        if self._policies is None:
            return []
        names = {volume for _, volume in self._bound if volume} - self._volumes.keys()
        return [
            ResourceIdentifier(well_known.PERSISTENT_VOLUMES, "", name)
            for name in sorted(names)
        ]

    def records(self) -> list[VolumeRecord]:
        """Return the record of each claim: this version keeps no volume's data.

        In the order of their names: with hooks they are stored as Pods are done.
        """
        records = [
            VolumeRecord(
                claim=claim,
                volume=volume,
                data="none",
                policy=self._action(volume, kept),
            )
            for (claim, volume), kept in zip_longest(self._bound, self._claims)
        ]
        return sorted(records, key=lambda record: record.claim)

    def _action(self, volume: str, claim: bytes | None) -> str:
        """Return what the policies say of a claim; nothing where they say nothing."""
        if self._policies is None or claim is None:
            return ""
        found = self._volumes.get(volume)
        action = decide_action(
            self._policies,
            volume=None if found is None else msgspec.json.decode(found),
            claim=msgspec.json.decode(claim),
        )
        return "" if action is None else str(action.type)


def claim_records(claims: Claims, reads: Reads, run: Run) -> list[VolumeRecord]:
    """Return the record of each claim; volumes that policies have to know are read.

    One that cannot be is a warning: a policy that means it may be passed over.
    """
    unread = []
    for identifier, answer in reads.each(claims.unknown_volumes()):
        if isinstance(answer, Item):
            claims.note(identifier, answer.content)
        else:
            unread.append(f"{identifier.name} ({answer.reason})")
    if unread:
        run.warning(
            "resource policies were asked about claims alone, as their volumes could "
            f"not be read: {first_few(unread)}"
        )
    return claims.records()


def _kept(item: _JSON) -> bytes:
    """Return what policies ask of a claim or a volume, as small as that is."""
    return msgspec.json.encode(
        {
            "metadata": {"labels": mapping_at(item, "metadata", "labels")},
            "spec": {
                **mapping_at(item, "spec"),
                "storageClassName": storage_class_of(item),
            },
            "status": {"phase": text_at(item, "status", "phase")},
        }
    )
