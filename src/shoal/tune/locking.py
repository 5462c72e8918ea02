"""One writer at a time for a journal file, by the kernel's own lock on it.

Whoever is killed while it writes loses the lock at once, and nothing is left beside the file.
"""

from __future__ import annotations

import fcntl
import os


class KernelLock:
    """`flock` on a file that exists.

    Raises:
        OSError: the file is gone, or its file system has no locks.

    >>> import tempfile
    >>> with tempfile.NamedTemporaryFile() as file:
    ...     lock = KernelLock(file.name)
    ...     lock.acquire()
    ...     lock.release()
    True
    """

    def __init__(self, path: str):
        self._path = path
        self._handle = -1

    def acquire(self) -> bool:
        handle = os.open(self._path, os.O_RDWR)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
        except OSError as error:
            os.close(handle)
            raise OSError(error.errno, error.strerror, self._path) from None
        self._handle = handle
        return True

    def release(self) -> None:
        os.close(self._handle)
