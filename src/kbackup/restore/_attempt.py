"""What came of one try to write an entry of a plan: a value, handed on by whoever tried."""

import attrs

CREATED, UPDATED, RECREATED = "created", "updated", "recreated"
UNCHANGED = "unchanged"
SKIPPED, FAILED, UNKNOWN = "skipped", "failed", "unknown"
UNTOLD = "it may have been written: the run ended before the server said"


@attrs.frozen(kw_only=True)
class Attempt:
    """What came of one try to write an entry.

    Attributes:
        action: What was done; empty: it is to be tried again.
        reason: Why, or the last answer.
        moved: The live object is not the one that the plan saw.
        plugin: Whose failure it is; empty: no plugin's.
    """

    action: str = ""
    reason: str = ""
    moved: bool = False
    plugin: str = ""

    @property
    def is_over(self) -> bool:
        """Whether the entry needs no further try."""
        return bool(self.action)
