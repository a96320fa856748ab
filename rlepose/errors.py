"""The one exception for bad input, and how a script reports it."""

import os
import sys
import time
from collections.abc import Callable


class InputError(ValueError):
    """Something the user gave is wrong: an option, a file, a picture.

    The message is one sentence that names the file or option, the value, and what mends it.
    """


class DivergedError(RuntimeError):
    """Training produced NaN or infinity."""


def first_line(error: Exception) -> str:
    """The part of another library's message that fits into one sentence."""
    return (str(error).splitlines() or [type(error).__name__])[0]


def run_script(main: Callable[[], None]) -> None:
    """Run a script's `main`; an InputError becomes one line on stderr and exit code 2, a DivergedError exit code 1."""
    try:
        main()
    except (InputError, DivergedError) as error:
        rank = int(os.environ.get("RANK", 0))
        if rank > 0:
            # Most mistakes meet all ranks alike. torchrun ends the others once rank 0 has spoken and stopped, so a
            # short wait leaves one message instead of eight; a mistake of this rank alone is still told.
            time.sleep(5)
        origin = f"[rank {rank}] " if rank else ""
        print(f"{origin}error: {error}", file=sys.stderr)
        sys.exit(2 if isinstance(error, InputError) else 1)
