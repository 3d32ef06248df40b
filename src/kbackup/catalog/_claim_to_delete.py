"""Holding a name while what it names is deleted, also where the store has no room."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

from kbackup._kits.clock import Clock
from kbackup.catalog._claim import NameClaim
from kbackup.catalog._claim_record import read_claims
from kbackup.errors import StoreFullError
from kbackup.plugins import ObjectStore


@contextmanager
def claimed_to_delete(
    kind: type[NameClaim], store: ObjectStore, name: str, record: str, clock: Clock
) -> Iterator[None]:
    """Keep others from writing the name meanwhile, as far as the store has room.

    A full store is why something is deleted: the room of its record must do for the
    claim, and where even that does not, nobody else can claim the name either.

    Args:
        kind: Of a backup's name, or of a restore's.
        store: Where.
        name: What is deleted.
        record: The key of its record, which goes first.
        clock: For the claim.

    Raises:
        BackupInProgressError: A run is writing it; for a restore's name
            `RestoreInProgressError`.
    """

    def acquire() -> NameClaim:
        run = str(uuid.uuid4())
        return kind(store, name, run_uid=run, clock=clock).acquire()

    with ExitStack() as stack:
        try:
            stack.enter_context(acquire())
        except StoreFullError:
            for _, claim in read_claims(store, kind.of, name.__eq__):
                if not claim.is_stale(clock.now()):
                    raise kind.of.refusal(name, str(claim)) from None
            store.delete(record)
            with suppress(StoreFullError):
                stack.enter_context(acquire())
        yield
