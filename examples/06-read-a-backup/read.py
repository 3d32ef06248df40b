"""Count what is in a backup, by namespace and type."""

import argparse
import sys
from collections import Counter

from kbackup import BackupStore
from kbackup.errors import KBackupError


def count(location: str, name: str) -> Counter[tuple[str, str]]:
    """Return how many items of each namespace and type backup *name* holds."""
    with BackupStore.open(location) as store, store.open_archive(name) as archive:
        return Counter(
            (item.identifier.namespace, str(item.identifier.group_resource))
            for item in archive
        )


def main() -> int:
    """Print the counts, or what is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("location", help="a directory or an address of backups")
    parser.add_argument("backup", help="the name of one of them")
    given = parser.parse_args()
    try:
        counts = count(given.location, given.backup)
    except KBackupError as exc:
        print(f"Error: {exc}", file=sys.stderr)
        if exc.hint:
            print(f"Hint: {exc.hint}", file=sys.stderr)
        return exc.exit_code
    for (namespace, resource), number in sorted(counts.items()):
        print(f"{namespace or '-':20} {resource:50} {number}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
