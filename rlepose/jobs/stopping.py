"""Ctrl-C and SIGTERM while files are written: what is begun is finished first."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from rlepose.training.signals import handled

TERMINATED = 128 + signal.SIGTERM  # exit code, as in a shell


class Stopping:
    """Signals end a block at once, but for what stands in `whole()`, which they end afterwards.

    SIGINT raises KeyboardInterrupt, SIGTERM SystemExit with the exit code 143.
    """

    def __init__(self) -> None:
        self._busy = False
        self._received: int | None = None

    @contextmanager
    def listening(self) -> Iterator[None]:
        """For as long as the block lasts."""
        with handled((signal.SIGINT, signal.SIGTERM), self._receive):
            yield

    @contextmanager
    def whole(self) -> Iterator[None]:
        """What a signal does not cut in two."""
        self._busy = True
        try:
            yield
        finally:
            self._busy = False
        if self._received is not None:
            self._stop(self._received)

    def _receive(self, number: int, _: FrameType | None) -> None:
        if self._busy:
            self._received = number
        else:
            self._stop(number)

    @staticmethod
    def _stop(number: int) -> None:
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        sys.exit(TERMINATED)
