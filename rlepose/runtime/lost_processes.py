"""One sentence for what torch raises when a process that a run needs is gone, or does not answer."""

import contextlib
from collections.abc import Iterator

from rlepose.errors import LostRankError, MachineError, first_line

# Words of torch's and the system's messages, all in lower case, in the order in which they are tried; what happened,
# and what mends it.
_CAUSES = [
    (
        ("dataloader worker", "bus error"),
        "a worker that loads pictures was ended, since shared memory is full; give the container more (docker run "
        "--shm-size=8g, or --ipc=host), or lower system.workers",
    ),
    (
        ("dataloader worker", "killed by signal: killed"),
        "a worker that loads pictures was killed, mostly since the memory of the machine or container is full; lower "
        "system.workers, or give it more memory",
    ),
    (
        ("dataloader worker",),
        "a worker that loads pictures is gone; set system.workers=0 to see what ends it, and whether it always does",
    ),
    (
        ("pin memory thread exited",),
        "the thread that takes batches from the workers is gone; see its own message above, or set system.workers=0",
    ),
    (
        ("items of ancdata",),
        "too many files are open for the batches of more workers; raise the limit (ulimit -n 65536), or lower "
        "system.workers",
    ),
    (
        ("timed out", "rank"),
        "another rank does not answer; see its own message or log, or raise system.timeout_s where it only takes long",
    ),
    (("connection", "rank"), "another rank is gone; see its own message or log"),
    (("rank",), "the ranks cannot talk to each other; see the messages of the others, and the network between them"),
]
_OF_RANKS = ("gloo", "nccl", "tcpstore", "c10d")


@contextlib.contextmanager
def told_in_one_sentence() -> Iterator[None]:
    """MachineError in the place of what torch raises when a worker is lost, LostRankError for another rank."""
    try:
        yield
    except RuntimeError as error:
        # A worker is found to be gone while another error is handled, which knows the signal that ended the worker.
        for known in (error.__cause__, error):
            if isinstance(known, RuntimeError) and (found := _loss(known)):
                raise found from error
        raise


def _loss(error: RuntimeError) -> MachineError | None:
    """Return the error that says what was lost; None if `error` has another cause."""
    if isinstance(error, MachineError):
        return None
    text = str(error).lower()
    if type(error).__name__.startswith("Dist") or any(library in text for library in _OF_RANKS):
        text += " rank"
    for words, sentence in _CAUSES:
        if all(word in text for word in words):
            lost = LostRankError if "rank" in words else MachineError
            return lost(f"{sentence} ({first_line(error)})")
    return None
