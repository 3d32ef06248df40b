"""``kbackup plugin check`` of a volume snapshotter: what it says, asks, and makes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import attrs
import click

from kbackup.cli._asking import agreed, require_somebody_to_ask
from kbackup.cli._output import say
from kbackup.cli._session import Session

if TYPE_CHECKING:
    from kbackup.testing import ConformanceReport


@attrs.frozen(kw_only=True)
class SnapshotterChoice:
    """What a person chose for a snapshotter.

    Attributes:
        config: As in a VolumeSnapshotLocation.
        volumes: Objects, with PersistentVolumes among them.
        zone: Of the volume; empty: as it says itself.
        yes: Whether to go ahead was agreed beforehand.
    """

    config: Mapping[str, str]
    volumes: Sequence[Mapping[str, Any]]
    zone: str
    yes: bool


def check_snapshotter(
    session: Session,
    provider: str,
    choice: SnapshotterChoice,
    heard: Callable[[str], None] | None,
) -> ConformanceReport | None:
    """Say what will be made, ask, and try every promise; None: it was not agreed to."""
    from kbackup.models import (  # noqa: PLC0415 - on demand
        ObjectMeta,
        VolumeSnapshotLocation,
        VolumeSnapshotLocationSpec,
    )
    from kbackup.testing import (  # noqa: PLC0415 - on demand
        check_volume_snapshotter,
        plan_snapshotter_check,
    )

    if not choice.volumes:
        raise click.UsageError(
            "The suite works on a copy of a real volume: name a file with its "
            "PersistentVolume by --items, as kubectl get pv NAME -o yaml prints it."
        )
    location = VolumeSnapshotLocation(
        metadata=ObjectMeta(name="check"),
        spec=VolumeSnapshotLocationSpec(provider=provider, config=choice.config),
    )
    plan = plan_snapshotter_check(
        location, session.plugins, choice.volumes, zone=choice.zone
    )
    say(f"The check of {provider}")
    for line in plan.lines:
        say(f"- {line}")
    require_somebody_to_ask(yes=choice.yes)
    if not agreed(f"Check {provider} so?", yes=choice.yes):
        say("Nothing was made.")
        return None
    made: list[str] = []
    try:
        return check_volume_snapshotter(
            plan, session.plugins, heard=heard, made=made.append
        )
    except BaseException:
        for volume_id in made:
            say(f"MADE    {volume_id}")
        raise
