"""What a backup counts, as restic's summary has it. Source: restic ``doc/075_scripting.rst``."""

from __future__ import annotations

import attrs


@attrs.define
class Counts:
    """Files and directories of one run, held against its parent's.

    Attributes:
        bytes: Of all files, whether they were read or not.
    """

    files_new: int = 0
    files_changed: int = 0
    files_unmodified: int = 0
    dirs_new: int = 0
    dirs_changed: int = 0
    dirs_unmodified: int = 0
    bytes: int = 0

    @property
    def files(self) -> int:
        """How many files there are."""
        return self.files_new + self.files_changed + self.files_unmodified

    def file(self, size: int, *, is_new: bool, is_unmodified: bool = False) -> None:
        """Count a file."""
        self.bytes += size
        if is_unmodified:
            self.files_unmodified += 1
        elif is_new:
            self.files_new += 1
        else:
            self.files_changed += 1

    def directory(self, tree: str, old_tree: str) -> None:
        """Count a directory by its tree, and the one that its parent had."""
        if tree == old_tree:
            self.dirs_unmodified += 1
        elif old_tree:
            self.dirs_changed += 1
        else:
            self.dirs_new += 1
