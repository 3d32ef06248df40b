"""From a configuration to the store of one directory, or of several."""

from __future__ import annotations

from collections.abc import Mapping

from kbackup.stores import Timeouts
from kbackup_plugins_local._config import directories
from kbackup_plugins_local._local import LocalStore
from kbackup_plugins_local._mirrored import MirroredLocalStore


def open_local_store(config: Mapping[str, str]) -> LocalStore | MirroredLocalStore:
    """Return the store that *config* means; nothing is looked at or made yet.

    Args:
        config: ``path``; optionally ``bucket``, ``prefix``, ``requestTimeout`` and
            ``transferTimeout``.

    Raises:
        InvalidConfigError: A value has no meaning.
    """
    timeouts = Timeouts.from_config(config)
    prefix = config.get("prefix", "")
    stores = [
        LocalStore(path, prefix=prefix, timeouts=timeouts)
        for path in directories(config)
    ]
    return stores[0] if len(stores) == 1 else MirroredLocalStore(stores)
