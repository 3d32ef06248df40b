"""Passwords and locks: who may open a repository, and who works in it. A chapter of the facade."""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter

from kbackup.repository._access import Access
from kbackup.repository._crypto import ScryptParameters
from kbackup.repository._ids import KeyID
from kbackup.repository._keys import (
    KeyInfo,
    calibrated,
    find_key,
    list_keys,
    open_key,
    remove_key,
    save_key,
)
from kbackup.repository._locks import LockInfo, list_locks, unlock


class Keyring(Access):
    """Keys and locks of an opened repository."""

    @property
    def key_id(self) -> KeyID:
        """Which key file opened it, or has the password that was changed to."""
        return self._key_id

    def list_keys(self) -> Sequence[KeyInfo]:
        """Return what each key file tells, the oldest first."""
        return sorted(list_keys(self._opened.backend), key=attrgetter("created", "id"))

    def add_key(
        self,
        password: str,
        *,
        hostname: str = "",
        username: str = "",
        key_parameters: ScryptParameters | None = None,
    ) -> KeyID:
        """Let another password open the repository, too.

        Args:
            password: The other one.
            hostname: What the key file says of where it is from; empty: this host.
            username: Of whom it is; empty: this user.
            key_parameters: How dear it is to try it; None: half a second here.
        """
        with self._locked():
            return save_key(
                self._opened.backend,
                self._opened.key,
                password,
                key_parameters or calibrated(),
                hostname=hostname,
                username=username,
            )

    def remove_key(self, key: str | KeyID) -> None:
        """Take a password its right to open the repository.

        Whoever knew it may have kept the repository's own key: what was saved with that
        stays open to them.

        Args:
            key: Its ID, as `list_keys` has it; as a text also the beginning of one.

        Raises:
            KeyNotFoundError: There is none, or more than one begins so.
            KeyInUseError: It is the one that opened this, so that one always stays.
        """
        with self._locked(exclusive=True):
            text = key if isinstance(key, str) else key.hex()
            name = find_key(self._opened.backend, text)
            remove_key(self._opened.backend, name, current=self._key_id)

    def change_password(
        self, password: str, *, key_parameters: ScryptParameters | None = None
    ) -> KeyID:
        """Put another password in the place of the one that opened this.

        At any moment of a crash one of the two opens the repository.
        """
        with self._locked(exclusive=True):
            backend, old = self._opened.backend, self._key_id
            parameters = key_parameters or calibrated()
            new = save_key(backend, self._opened.key, password, parameters)
            self._key_id = open_key(backend, password, hint=new).id
            remove_key(backend, old, current=new)
        return new

    def list_locks(self) -> Sequence[LockInfo]:
        """Return who works in it."""
        return list(list_locks(self._opened.documents))

    def unlock(self, *, remove_all: bool = False) -> int:
        """Remove the locks that nobody holds any more; return how many.

        Args:
            remove_all: Those of living processes and damaged ones, too: whoever works
                there may lose what they write.
        """
        return len(unlock(self._opened.documents, remove_all=remove_all))
