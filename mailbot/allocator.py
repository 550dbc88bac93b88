"""Keeps the memory of a process that runs for months flat: asks glibc to give large buffers back at once."""

from __future__ import annotations

import ctypes
import sys

#: parameters of mallopt(3)
_M_MMAP_THRESHOLD, _M_ARENA_MAX = -3, -8
#: larger buffers (octets) get pages of their own, which go back to the system when they are freed
_OWN_PAGES_FROM = 256 * 1024
#: heaps; by default there may be eight for each processor, and each keeps the most it ever held
_HEAPS = 2


def keep_memory_flat() -> None:
    """Settles glibc's allocator for a worker; does nothing where the C library has no mallopt.

    Without it glibc raises the threshold to the largest mail that it has seen, and from then on mails of some
    megabytes leave holes in the heaps of several threads.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _OWN_PAGES_FROM)
        mallopt(_M_ARENA_MAX, _HEAPS)
