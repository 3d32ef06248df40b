"""What moved, and yet is as it was saved before the first write.

Deleting an owner unties what it owns, which gives that a new version. Of a Secret, or what
else is redacted, a plan shows no values that could tell that nothing else changed: the
object that was saved does.
"""

import hashlib
from collections.abc import Mapping
from typing import Any

import attrs
import msgspec

from kbackup.models import ResourceIdentifier

Content = Mapping[str, Any]

_MOVING = frozenset(
    {"ownerReferences", "resourceVersion", "managedFields", "generation"}
)
_encode_sorted = msgspec.json.Encoder(order="sorted").encode


@attrs.frozen
class SavedObjects:
    """Live objects that were saved as the plan saw them.

    Args:
        digests: Of each, by where it is; see `digest_of`.
    """

    _digests: Mapping[ResourceIdentifier, bytes] = attrs.field(factory=dict, repr=False)

    def has(self, target: ResourceIdentifier, live: Content) -> bool:
        """Whether an object is as it was saved, whoever owns it now."""
        known = self._digests.get(target)
        return known is not None and known == digest_of(live)


def digest_of(live: Content) -> bytes:
    """SHA-256 of a live object, uid and all, without its owners, version and status."""
    metadata = {k: v for k, v in live["metadata"].items() if k not in _MOVING}
    kept = {k: v for k, v in live.items() if k != "status"}
    return hashlib.sha256(_encode_sorted(kept | {"metadata": metadata})).digest()
