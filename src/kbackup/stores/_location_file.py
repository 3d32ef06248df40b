"""``plugins/kbackup.io/location.json``: who a location is and how it is laid out.

Written before anything else of kbackup's; mirrored directories are told from unmounted
ones by it. Only its profile is ever replaced, by who tries the location out anew.
"""

from __future__ import annotations

import io
import json
import logging
import uuid as uuid_module
from typing import Any

import attrs

from kbackup.errors import (
    ObjectExistsError,
    ObjectNotFoundError,
    StoreAccessError,
    StoreError,
)
from kbackup.models import API_VERSION
from kbackup.plugins import ObjectStore
from kbackup.stores import _layout as layout
from kbackup.stores._profile import (
    StoreProfile,
    adapt,
    after_trial,
    needs_probe,
    probe_store,
    unknown_lacks,
)

LAYOUT = 1
"""The version of the layout that this kbackup writes, and the highest that it reads."""

_KIND = "Location"
_MOST_BYTES = 1 << 16

_log = logging.getLogger("kbackup.stores")


@attrs.frozen(kw_only=True)
class LocationRecord:
    """The identity of a location.

    Attributes:
        uuid: The same in every directory of a mirrored location.
        layout: The version of the key layout.
        features: Names of what a reader must know beyond the layout.
        profile: What the server did not do when the location was first used; None: it
            was not tried.
    """

    uuid: str = attrs.field(factory=lambda: str(uuid_module.uuid4()))
    layout: int = LAYOUT
    features: tuple[str, ...] = ()
    profile: StoreProfile | None = None

    def encode(self) -> bytes:
        """Return the document."""
        document: dict[str, Any] = {
            "apiVersion": API_VERSION,
            "kind": _KIND,
            "uuid": self.uuid,
            "layout": self.layout,
            "features": list(self.features),
        }
        if self.profile is not None:
            document["profile"] = self.profile.encode()
        return _encoded(document)

    @classmethod
    def decode(cls, data: bytes) -> LocationRecord:
        """Read the document; fields that are not known are ignored.

        Raises:
            StoreAccessError: It is damaged, or of a layout that this kbackup does not
                read.
        """
        record = _fields(data)
        version, features = record.get("layout"), record.get("features", [])
        if not isinstance(version, int) or version > LAYOUT or features:
            raise StoreAccessError(
                layout.LOCATION,
                f"the location has layout {version!r} and features {features!r}; "
                f"this kbackup reads layout {LAYOUT} without features",
                hint="use a newer kbackup",
            )
        profile = StoreProfile.decode(record.get("profile"))
        return cls(uuid=record["uuid"], layout=version, profile=profile)


def _encoded(document: dict[str, Any]) -> bytes:
    return json.dumps(document, indent=2, sort_keys=True).encode() + b"\n"


def _fields(data: bytes) -> dict[str, Any]:
    try:
        record = json.loads(data)
    except (ValueError, RecursionError):
        record = None
    if isinstance(record, dict) and isinstance(record.get("uuid"), str):
        return record
    raise StoreAccessError(
        layout.LOCATION,
        "it is damaged: no JSON object with a uuid",
        hint="remove this file, no backup needs it, and then: kbackup location init",
    )


def read_location_record(store: ObjectStore) -> LocationRecord | None:
    """Return the identity of the location that *store* lies in, or None: new.

    Raises:
        StoreAccessError: It has a layout that this kbackup does not read.
    """
    data = _fetch(store)
    return None if data is None else LocationRecord.decode(data)


def _fetch(store: ObjectStore) -> bytes | None:
    target = io.BytesIO()
    try:
        store.get(layout.LOCATION, target, length=_MOST_BYTES)
    except ObjectNotFoundError:
        return None
    return target.getvalue()


def check_layout(store: ObjectStore) -> None:
    """Look, before the first reading, whether this kbackup reads the layout.

    A damaged identity is no reason not to read what is whole: it is only logged.

    Raises:
        StoreAccessError: It does not.
    """
    data = _fetch(store)
    if data is None:
        return
    try:
        _fields(data)
    except StoreAccessError as exc:
        _log.warning("%s", exc)
    else:
        LocationRecord.decode(data)


def ensure_location_record(store: ObjectStore) -> LocationRecord:
    """Return the location's identity, given to it now if it had none.

    For whoever is about to write. A store that may lack what it declares is tried out
    on the location's first use; later ones are told what was found then. Of two at the same moment both get the same answer.

    Raises:
        StoreAccessError: It has a layout that this kbackup does not read.
        StoreUnavailableError: A mirrored location that was never made.
    """
    if found := read_location_record(store):
        if found.profile is not None:
            adapt(store, found.profile)
        else:
            _first_profile(store)
        return found
    record = LocationRecord(profile=_first_profile(store))
    try:
        store.put(layout.LOCATION, record.encode(), create=True)
    except ObjectExistsError:
        return read_location_record(store) or record
    return read_location_record(store) or record


def remember_profile(
    store: ObjectStore, tried: StoreProfile, found: StoreProfile
) -> StoreProfile | None:
    """Write down what a trial of the location showed, where that is news.

    Everything else in the identity stays, what a newer kbackup added included, so of two
    at the same moment either may come last. Not for mirrored directories, whose stores
    are not tried.

    Args:
        store: Bound to the location's prefix.
        tried: All that would be lacking, had the trial gone badly.
        found: What it showed.

    Returns:
        What was remembered until now; None: nothing is new, or there is no identity yet.

    Raises:
        StoreError: It could not be read or written; what was remembered may stay.
    """
    data = _fetch(store)
    if data is None:
        return None
    before = LocationRecord.decode(data).profile or StoreProfile()
    after = after_trial(before, tried, found)
    document = _fields(data)
    remembered = document.get("profile")
    profile = {**(remembered if isinstance(remembered, dict) else {}), **after.encode()}
    profile["lacks"] = sorted({*profile["lacks"], *unknown_lacks(remembered)})
    if remembered == profile:
        return None
    document["profile"] = profile
    store.put(layout.LOCATION, _encoded(document))
    return before


def _first_profile(store: ObjectStore) -> StoreProfile | None:
    """Try the store out if that is worth while, and adapt it; None: nothing is known.

    Who cannot delete, for one, may still write backups: a failure is only logged.
    """
    if not needs_probe(store):
        return None
    try:
        probe = probe_store(store)
    except StoreError as exc:
        _log.warning("the location could not be tried out: %s", exc)
        return None
    for problem in probe.problems:
        _log.warning("%s", problem)
    return probe.profile
