"""The exceptions of this project, and how a command reports them."""

import errno
import io
import os
import sys
import time
from collections.abc import Callable

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
        if rank != "0":
            # Most input errors occur on all ranks at once, and torchrun kills the other ranks when rank 0 exits. The
            # short wait therefore leaves one message instead of eight, and an error of this rank alone is still shown.
            time.sleep(5)
        origin = f"[rank {rank}] " if rank != "0" else ""
        text = _about_file(error) if isinstance(error, OSError) else str(error)
        print(f"{origin}error: {text}", file=sys.stderr)
        sys.exit(1 if isinstance(error, (DivergedError, MachineError)) else 2)


def _about_file(error: OSError) -> str:
    if error.filename is None:
        return f"cannot write a file ({error.strerror}); free some space, and run the command again"
    return f"{error.filename}: {error.strerror}"
