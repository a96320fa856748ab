"""The one exception for bad input, and how a script reports it."""

import os
import sys
from collections.abc import Callable


class InputError(ValueError):
    """Something the user gave is wrong: an option, a file, a picture.

    The message is one sentence that names the file or option, the value, and what mends it.
    """


def run_script(main: Callable[[], None]) -> None:
    """Run a script's `main`; an InputError becomes one line on stderr and exit code 2."""
    try:
        main()
    except InputError as error:
        rank = os.environ.get("RANK")
        origin = f"[rank {rank}] " if rank else ""
        print(f"{origin}error: {error}", file=sys.stderr)
        sys.exit(2)
