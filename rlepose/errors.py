"""The one exception for bad input, and how a script reports it."""

import io
import os
import sys
import time
from collections.abc import Callable

STOPPED = 75  # exit code: EX_TEMPFAIL of sysexits.h


class InputError(ValueError):
    """Something the user gave is wrong: an option, a file, a picture.

    The message is one sentence that names the file or option, the value, and what mends it.
    """


class DivergedError(RuntimeError):
    """Training produced NaN or infinity."""


class MachineError(RuntimeError):
    """A worker, another rank or the machine failed, and the run cannot go on.

    The message is one sentence that names what failed, the reason, and what mends it.
    """


class Stopped(BaseException):
    """A signal asked a run to stop, and it did; like KeyboardInterrupt, no error that somebody handles."""

    def __str__(self) -> str:
        return "stopped by a signal; go on with --resume"


def first_line(error: Exception) -> str:
    """The part of another library's message that fits into one sentence."""
    return (str(error).splitlines() or [type(error).__name__])[0]


def run_script(main: Callable[[], None]) -> None:
    """Run a script's `main`; an InputError, or a file that cannot be opened or written, becomes one line on stderr and
    exit code 2, a DivergedError or a MachineError exit code 1.

    A run that a signal stopped and that can go on has exit code 75, sysexits.h's for a failure that is temporary;
    Ctrl-C elsewhere has 130, as in a shell.
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
        if isinstance(error, OSError) and error.filename is None:
            raise  # not a file that somebody named
        rank = os.environ.get("RANK", "0")
        if rank != "0":
            # Most mistakes meet all ranks alike. torchrun ends the others once rank 0 has spoken and stopped, so a
            # short wait leaves one message instead of eight; a mistake of this rank alone is still printed.
            time.sleep(5)
        origin = f"[rank {rank}] " if rank != "0" else ""
        text = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) else str(error)
        print(f"{origin}error: {text}", file=sys.stderr)
        sys.exit(1 if isinstance(error, (DivergedError, MachineError)) else 2)
