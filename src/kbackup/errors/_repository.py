"""What is wrong with a repository: not there, locked, closed to a password, damaged."""

from __future__ import annotations

from typing import ClassVar

from kbackup.errors._base import KBackupError


class RepositoryError(KBackupError):
    """Something about a repository.

    Attributes:
        thing: What it is about: a place, or a file of the format such as ``pack 3f2a``.
        reason: What was found.
    """

    fact: ClassVar[str] = "the repository failed"

    def __init__(self, thing: str, reason: str = "", *, hint: str = "") -> None:
        super().__init__(f"{thing}: {self.fact}", reason, hint=hint)
        self.thing, self.reason = thing, reason


class RepositoryNotFoundError(RepositoryError):
    """There is no repository at this place."""

    exit_code = 10  # as restic; see docs/reference/errors.md
    fact = "no repository is there"


class RepositoryExistsError(RepositoryError):
    """There is a repository at this place already; nothing was overwritten."""

    fact = "a repository is there already"


class RepositoryLockedError(RepositoryError):
    """Somebody else works in it, and neither of the two may at the same time."""

    exit_code = 11  # as restic
    retryable = True
    fact = "the repository is locked"


class WrongPasswordError(RepositoryError):
    """No key file of the repository opens with the given password."""

    exit_code = 12  # as restic
    fact = "no key opens with this password"

    def __init__(self, thing: str, *, keys_tried: int) -> None:
        super().__init__(thing, f"{keys_tried} tried")
        self.keys_tried = keys_tried


class KeySizeError(RepositoryError):
    """A key has not the length that its use asks for."""

    fact = "wrong size of a key"


class KeyNotFoundError(RepositoryError):
    """No key file has this ID, or more than one begins so."""

    fact = "no such key"


class KeyInUseError(RepositoryError):
    """It opened the repository, and stays, so that one always does."""

    fact = "it is the one in use and is not removed"


class UnsupportedFormatError(RepositoryError):
    """It was written in a way that this version does not know."""

    fact = "unknown format"


class SnapshotNotFoundError(RepositoryError):
    """No repository snapshot has this ID, or more than one begins so."""

    fact = "no such snapshot"


class PathNotFoundError(RepositoryError):
    """A repository snapshot has nothing at this path, or no directory."""

    fact = "no such path in the snapshot"


class SourceNotFoundError(RepositoryError):
    """None of the paths that were to be backed up is there; no snapshot was made."""

    fact = "none of what was to be backed up is there"


class IntegrityError(RepositoryError):
    """What is stored is not what was written; nothing of it was used."""

    fact = "damaged"


class SealBrokenError(IntegrityError):
    """The MAC does not fit: the bytes were altered, or sealed with another key."""

    fact = "the seal is broken"


class BlobMissingError(IntegrityError):
    """No index knows the blob, or no pack has it any more."""

    fact = "not in the repository"


class PackCorruptError(IntegrityError):
    """A pack is not the file that its name says, or its header cannot be read."""

    fact = "the pack is damaged"
