"""The exceptions of this project, and how a command reports them."""

import errno
import hashlib
import io
import os
import sys
import time
from collections.abc import Callable
from datetime import timedelta

_FULL = (errno.ENOSPC, errno.EDQUOT)  # a write raises these, and does not say of which file
STOPPED = 75  # exit code: EX_TEMPFAIL of sysexits.h


class InputError(ValueError):
    """Invalid input from the user: an option, a file or an image.

    The message is one sentence that names the file or option, its value, and the fix.
    """


class DivergedError(RuntimeError):
    """Training produced NaN or infinity."""


class MachineError(RuntimeError):
    """A worker, another rank or the machine failed, and the run cannot go on.

    The message is one sentence that names what failed, the reason, and what mends it.
    """


class LostRankError(MachineError):
    """Another rank is gone or does not answer; the message of that rank, if it has one, names the cause."""


class Stopped(BaseException):
    """A signal has stopped the run. Like KeyboardInterrupt, no Exception: error handlers do not catch it."""

    def __str__(self) -> str:
        return "stopped by a signal; continue with --resume"


def first_line(error: Exception) -> str:
    """Return the first line of another library's error message, or the error's class name if the message is empty."""
    return (str(error).splitlines() or [type(error).__name__])[0]


def run_script(main: Callable[[], None]) -> None:
    """Run a command's `main` and turn exceptions into one line on stderr and an exit code.

    Exit codes: 2 for an InputError or a file that cannot be read or written, 1 for a DivergedError or a MachineError,
    75 (EX_TEMPFAIL of sysexits.h) for a run that a signal has stopped and that can be resumed, 130 for Ctrl-C, as in a
    shell.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal without a character ends nothing
    try:
        main()
    except Stopped as stop:
        print(stop, file=sys.stderr)
        sys.exit(STOPPED)
    except KeyboardInterrupt:
        sys.exit(130)
    except (InputError, DivergedError, MachineError, OSError) as error:
        if isinstance(error, OSError) and error.filename is None and error.errno not in _FULL:
            raise  # not about a file that the user named
        rank = os.environ.get("RANK", "0")
        text = _about_file(error) if isinstance(error, OSError) else str(error)
        if _is_first_to_print(None if isinstance(error, LostRankError) else text, rank):
            print(f"{f'[rank {rank}] ' * (rank != '0')}error: {text}", file=sys.stderr)
        sys.exit(1 if isinstance(error, (DivergedError, MachineError)) else 2)


def _about_file(error: OSError) -> str:
    if error.filename is None:
        return f"cannot write a file ({error.strerror}); free some space, and run the command again"
    return f"{error.filename}: {error.strerror}"


def _is_first_to_print(text: str | None, rank: str) -> bool:
    """Return whether no other rank of this machine has printed this text; None: whether none has printed any text.

    Most input errors occur on all ranks at once, and one message is to be read instead of eight. The ranks ask
    torchrun's store, which outlives them, so it does not matter which of them is fast.
    """
    environment = os.environ
    if environment.get("WORLD_SIZE", "1") == "1":
        return True
    if environment.get("TORCHELASTIC_USE_AGENT_STORE") != "True":
        # Nothing outlives the ranks. Who started them mostly ends the others when rank 0 exits.
        if rank != "0":
            time.sleep(5)
        return True
    try:
        from torch.distributed import TCPStore  # takes seconds, so imported only where ranks have an error

        address, port = environment["MASTER_ADDR"], int(environment["MASTER_PORT"])
        store = TCPStore(address, port, is_master=False, wait_for_workers=False, timeout=timedelta(seconds=10))
        place = "/".join(environment.get(f"TORCHELASTIC_{name}", "") for name in ("RUN_ID", "RESTART_COUNT"))
        key = f"rlepose/{place}/{environment.get('GROUP_RANK')}"
        first_of_all = store.add(key, 1) == 1
        return (
            first_of_all
            if text is None
            else store.add(key + hashlib.sha256(text.encode(errors="replace")).hexdigest(), 1) == 1
        )
    except Exception:  # torchrun is gone, or its environment is another's: a message twice is better than none
        return True
