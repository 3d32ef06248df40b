"""A temporary file in which a file is collected that has no name yet.

`_local` gives it its name afterwards, `_object_store` sends it. Not buffered: what is
written comes in blocks that are large already.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress

from kbackup.errors import KBackupError
from kbackup.repository._ids import Bytes

FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL  # it is new, and nobody's link
MODE = 0o600


class FileSpool:
    """A `Spool` in a file; of one thread at a time.

    The file is removed when it is closed or forgotten, unless it has another name then.

    Args:
        path: The file, which was made just now.
        descriptor: The file, open for writing; the spool closes it.
        error: From an error of the operating system to what is raised.

    Attributes:
        size: How many bytes were written.
    """

    def __init__(
        self, path: str, descriptor: int, error: Callable[[OSError], KBackupError]
    ) -> None:
        self.path = path
        self.descriptor = descriptor
        self.size = 0
        self._error = error
        self._maker = os.getpid()

    def write(self, data: Bytes, /) -> int:
        """Append all of *data*; where that fails the file is gone, and so is its room.

        Raises:
            ValueError: The spool was closed.
        """
        if self.descriptor < 0:
            raise ValueError("the spool was closed")
        done = 0
        try:
            with memoryview(data) as view:
                while done < len(view):
                    done += os.write(self.descriptor, view[done:])
        except OSError as exc:
            self.close()
            raise self._error(exc) from exc
        self.size += done
        return done

    def close(self) -> None:
        """Remove the file, if it has no other name by now."""
        descriptor, self.descriptor = self.descriptor, -1
        if descriptor < 0:
            return
        with suppress(OSError):  # what counts was brought to the disk before
            os.close(descriptor)
        if os.getpid() == self._maker:  # not the copy of a forked process
            with suppress(OSError):
                os.unlink(self.path)  # noqa: PTH108 - names are plain text here

    def __del__(self) -> None:
        self.close()
