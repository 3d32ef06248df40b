"""Whose values no output shows: Secrets always, and the types that the user names.

Pure. Asked wherever a value could come out: a plan's differences, the server's own
words about an object that it refused, the text of a foreign error.
"""

from collections.abc import Iterable

import attrs

from kbackup._kits.words import suggestion
from kbackup.errors import InvalidSpecError
from kbackup.models import GroupResource, well_known
from kbackup.restore._request.filters import TypeNames


@attrs.frozen
class Redaction:
    """What is hidden beside Secrets, which always are.

    Attributes:
        types: These types.
        everything: Every type.
    """

    types: frozenset[GroupResource] = frozenset()
    everything: bool = False

    def hides(self, resource: GroupResource, kind: str) -> bool:
        """Whether the values of an object may not be shown."""
        if self.everything or resource in self.types:
            return True
        return well_known.is_secret(resource, kind)


def make_redaction(names: Iterable[str], types: TypeNames) -> Redaction:
    """Resolve what the user wants hidden, besides Secrets.

    A plural without a group hides the type in every group that has it.

    Raises:
        InvalidSpecError: A name means no type: what was to be hidden would be shown.
    """
    found: set[GroupResource] = set()
    unknown = []
    for name in names:
        meant = types.all_of(name)
        found |= meant
        if not meant and name != "*":
            unknown.append(name)
    if unknown:
        raise InvalidSpecError(
            [f"redact: neither target nor backup has a type {x}" for x in unknown],
            hint=suggestion("type", map(types.nearest, unknown)),
        )
    return Redaction(frozenset(found), everything="*" in names)
