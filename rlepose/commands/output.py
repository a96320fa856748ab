"""What a command prints for somebody to read."""

import os
import sys


def show(text: str) -> None:
    """Print a text at once. A reader who has seen enough of it, such as `head`, is no error."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what Python writes when it ends
