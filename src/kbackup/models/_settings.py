"""How an engine works, as opposed to what it is asked to do."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import attrs

from kbackup.models._fields import above, at_least, check_config, keep_odd
from kbackup.models._model import short_repr

_MEBIBYTE = 1024 * 1024
_NO_TIME = timedelta(0)


@attrs.frozen(kw_only=True, field_transformer=keep_odd)
class EngineSettings:
    """The settings of an engine and of the connections that it makes.

    Attributes:
        workers: Requests to the API server in flight at most.
        page_bytes: The size towards which pages of a list are kept.
        connect_timeout: For one connection to the API server.
        read_timeout: For the head of an answer, and between two bytes of its body.
        retry_budget: How long one request may be tried again; while the server refuses
            every request (HTTP 429), all of a run together.
        max_writes_per_second: To the API server; None: as many as it takes.
        action_timeout: After this time an item action is given up.
        item_block_worker_count: Blocks of items that are backed up at once, where Pods in
            them have hooks; None: as many as `workers`.
        spool_directory: For temporary files; None: the system's.
    """

    workers: int = attrs.field(default=32, metadata=at_least(1))
    page_bytes: int = attrs.field(default=8 * _MEBIBYTE, metadata=at_least(1024))
    connect_timeout: timedelta = attrs.field(
        default=timedelta(seconds=5), metadata=above(_NO_TIME)
    )
    read_timeout: timedelta = attrs.field(
        default=timedelta(seconds=60), metadata=above(_NO_TIME)
    )
    retry_budget: timedelta = attrs.field(
        default=timedelta(minutes=10), metadata=above(_NO_TIME)
    )
    max_writes_per_second: float | None = attrs.field(default=None, metadata=above(0))
    action_timeout: timedelta = attrs.field(
        default=timedelta(minutes=5), metadata=above(_NO_TIME)
    )
    item_block_worker_count: int | None = attrs.field(
        default=None, metadata=at_least(1)
    )
    spool_directory: Path | None = attrs.field(
        default=None, converter=attrs.converters.optional(Path)
    )

    def __attrs_post_init__(self) -> None:
        """Refuse what cannot be meant.

        Raises:
            InvalidConfigError: With every setting of another type or out of bounds.
        """
        check_config(self)

    __repr__ = short_repr
