"""Count what is in a backup, by namespace and type."""

import sys
from collections import Counter

from kbackup import BackupStore


def count(location: str, name: str) -> Counter[tuple[str, str]]:
    """Return how many items of each namespace and type backup *name* holds."""
    with BackupStore.open(location) as store, store.open_archive(name) as archive:
        return Counter(
            (item.identifier.namespace, str(item.identifier.group_resource))
            for item in archive
        )


if __name__ == "__main__":
    for (namespace, resource), number in sorted(count(*sys.argv[1:3]).items()):
        print(f"{namespace or '-':20} {resource:50} {number}")
