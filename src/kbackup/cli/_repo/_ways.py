"""The ways to say which repository is meant, and its password: options and variables."""

from __future__ import annotations

import os
from pathlib import Path

import attrs

from kbackup.errors import InvalidConfigError

_MOST = 1 << 20  # bytes of a file that is to hold one line


@attrs.frozen
class Ways:
    """How one of the repositories of a call is named.

    Attributes:
        place: The variable of the environment that says where it is.
        password: The variable that holds its password.
        prefix: Of the options that say the same.
        purpose: What the repository is to the call, for messages.
    """

    place: str
    password: str
    prefix: str
    purpose: str

    def of_place(self) -> str:
        """Tell how to say where it is."""
        options = f"--{self.prefix}repo DIRECTORY|URL or --{self.prefix}repository-file"
        return f"give {options}, or set {self.place}{_unread(self.place)}"

    def of_password(self) -> str:
        """Tell how to give its password."""
        options = f"--{self.prefix}password-file or --{self.prefix}password-command"
        return f"give {options}, or set {self.password}{_unread(self.password)}"


MEANT = Ways("KBACKUP_REPOSITORY", "KBACKUP_REPO_PASSWORD", "", "is meant")
"""The repository that a verb is about."""

FROM = Ways(
    "KBACKUP_FROM_REPOSITORY", "KBACKUP_FROM_REPO_PASSWORD", "from-", "is copied from"
)
"""The other one, from which something is copied."""


def line_of(file: Path) -> str:
    """Return what a small file holds; what is wrong is said without a word of it.

    Raises:
        InvalidConfigError: It cannot be read, or is no text.
    """
    try:
        with file.open("rb") as opened_file:
            return opened_file.read(_MOST).decode("utf-8-sig").strip()
    except OSError as exc:
        raise InvalidConfigError(f"{file}: {exc.strerror or exc}") from exc
    except UnicodeDecodeError as exc:
        raise InvalidConfigError(f"{file}: it is no text in UTF-8") from exc


def _unread(variable: str) -> str:
    """Tell that a variable of restic's is set, and not read."""
    restics = variable.replace("KBACKUP_", "RESTIC_").replace("_REPO_", "_")
    return f"; {restics} is not read" if restics in os.environ else ""
