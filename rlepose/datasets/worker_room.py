"""What processes that load pictures need of the machine: shared memory and sockets to send batches, and cores."""

import logging
import math
import os
import sys
import tempfile
from multiprocessing.connection import Listener
from pathlib import Path

from rlepose.errors import InputError

log = logging.getLogger(__name__)

_SHARED_MEMORY = Path("/dev/shm")  # where Linux keeps it, whatever the program
_SOCKET_NAME = "/pymp-12345678/listener-12345678"  # below the temporary folder, as multiprocessing names it
_LONGEST_SOCKET_PATH = 107  # bytes, on Linux
_AT_WORK = 2  # batches that the main process holds at once: the one it works on, and the one that it takes


def check_room(workers: int, prefetch: int, batches: int, batch_bytes: int) -> None:
    """InputError where workers would have no room for what they send; torch would then wait for it for ever.

    Linux only: elsewhere torch sends in other ways.

    Args:
        workers: processes that load.
        prefetch: batches that each loads ahead.
        batches: that an epoch has.
        batch_bytes: of the largest batch.
    """
    if sys.platform == "linux" and workers and batches:
        _check_sockets()
        _check_shared_memory(workers, prefetch, batches, batch_bytes)


def warn_of_cores(workers: int) -> None:
    """Log a warning if this many workers on each rank of this machine are more than its cores."""
    ranks = _ranks_here()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if workers * ranks > cores:
        of_ranks = f" on each of {ranks} ranks" if ranks > 1 else ""
        log.warning(
            "system.workers=%d%s: more processes load pictures than there are cores (%d), which takes memory and helps "
            "only where the disk or network is slow; else set system.workers=%d",
            *(workers, of_ranks, cores, cores // ranks),
            extra={"once": "workers"},
        )


def shared_memory_left() -> float:
    """Bytes that are free in shared memory, infinite where it has no limit; InputError where it cannot be used."""
    try:
        room = os.statvfs(_SHARED_MEMORY)
        reason = None if os.access(_SHARED_MEMORY, os.W_OK) else "it cannot be written"
    except OSError as error:
        reason = error.strerror
    if reason is not None:
        raise InputError(
            f"{_SHARED_MEMORY}: workers that load pictures send them through shared memory, which is not to be had "
            f"({reason}); mount a tmpfs there that this user may write, or set system.workers=0"
        )
    return room.f_bavail * room.f_frsize if room.f_blocks else math.inf


def _check_shared_memory(workers: int, prefetch: int, batches: int, batch_bytes: int) -> None:
    ranks = _ranks_here()  # all of them take from the same memory
    count = min(workers * prefetch + _AT_WORK, batches)
    needed, left = ranks * count * batch_bytes, shared_memory_left()
    if needed <= left:
        return
    fit = max(0, int((left / (ranks * batch_bytes) - _AT_WORK) // prefetch))
    of_ranks = f" on each of {ranks} ranks" if ranks > 1 else ""
    raise InputError(
        f"{_SHARED_MEMORY}: {left / 1e6:.0f} MB of shared memory are free, but system.workers={workers} needs "
        f"{needed / 1e6:.0f} MB: {count} batches of {batch_bytes / 1e6:.1f} MB{of_ranks}; give the container more "
        f"(docker run --shm-size={_gibibytes(needed)}g, or --ipc=host), set system.workers={fit}, "
        "or take smaller batches"
    )


def _ranks_here() -> int:
    return int(os.environ.get("LOCAL_WORLD_SIZE", 1))  # torchrun's


def _gibibytes(needed: float) -> int:
    return math.ceil(1.25 * needed / 2**30)


def _check_sockets() -> None:
    """InputError where the temporary folder is not one for sockets, over which workers pass their memory on."""
    try:
        folder = tempfile.gettempdir()
    except OSError as error:
        raise InputError(
            f"TMPDIR: workers that load pictures need a folder for their sockets ({error.strerror}); set TMPDIR to a "
            "folder that can be written, or system.workers=0"
        ) from error
    try:
        Listener(family="AF_UNIX").close()  # what a worker does for each tensor's memory, in a folder of this process
    except OSError as error:
        reason, length = error.strerror or str(error), len(os.fsencode(folder))
        room = _LONGEST_SOCKET_PATH - len(_SOCKET_NAME)
        if length > room:
            reason = f"its path has {length} bytes, and a socket's leaves room for {room}"
        raise InputError(
            f"TMPDIR: {folder}: workers that load pictures cannot open their sockets there ({reason}); set TMPDIR to a "
            "short path on a local disk, such as /tmp, or set system.workers=0"
        ) from error
