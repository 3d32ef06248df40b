"""Which repository the options mean, and how its password is come by."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import attrs


@attrs.define
class RepositoryChoice:
    """What the options of `kbackup repo` say, wherever they stand.

    Attributes:
        place: A directory or an address; empty: not given so.
        place_file: A file that holds it.
        password_file: A file that holds the password.
        password_command: Prints the password; it may hold it itself.
        lock_patience: How long to wait while others hold a lock that excludes.
        no_lock: Only read, and take no lock.
        quiet: Print what was asked for, and no more.
    """

    place: str = ""
    place_file: Path | None = None
    password_file: Path | None = None
    password_command: str = ""
    lock_patience: timedelta = timedelta(0)
    no_lock: bool = False
    quiet: bool = False

    def words(self) -> list[str]:
        """Return the options that another command needs to mean the same repository.

        What may hold a password is named, not told.
        """
        given = {
            "--repo": "URL" if "@" in self.place else self.place,
            "--repository-file": str(self.place_file or ""),
            "--password-file": str(self.password_file or ""),
            "--password-command": "COMMAND" if self.password_command else "",
        }
        return [word for pair in given.items() if pair[1] for word in pair]
