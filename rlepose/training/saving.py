"""Write checkpoints in the background; training only waits for a copy to host memory."""

import copy
import threading
from pathlib import Path
from typing import Any

import torch

from rlepose.runtime.checkpoint_file import write_tree


class BackgroundSaver:
    """Writes one checkpoint at a time, in a separate thread.

    A file contains the state at the time of `save`. The next `save` or `wait` raises an error of writing (see
    `write_tree`). A process that ends without `wait` still finishes the file.
    """

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None

    def save(self, path: Path, tree: dict[str, Any], previous: Path | None = None) -> None:
        """Copy a checkpoint's tree and start writing it like `write_tree`, after the previous one is written."""
        self.wait()
        arguments = (path, _copied(tree), previous)
        self._thread = threading.Thread(target=self._write, args=arguments, name=f"saving {path.name}")
        self._thread.start()

    def wait(self) -> None:
        """Wait until the last checkpoint is on disk; raise an error of writing it."""
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        error, self._error = self._error, None
        if error is not None:
            raise error

    def _write(self, path: Path, tree: dict[str, Any], previous: Path | None) -> None:
        try:
            write_tree(path, tree, previous)
        except BaseException as error:
            self._error = error


def _copied(tree: Any) -> Any:
    """Copy all tensors in dicts and lists to host memory; dicts and lists keep their types and attributes."""
    if isinstance(tree, torch.Tensor):
        return tree.detach().to("cpu", copy=True)
    if isinstance(tree, dict):
        new = copy.copy(tree)  # a state dict also has version attributes
        new.update({key: _copied(value) for key, value in tree.items()})
        return new
    return [_copied(value) for value in tree] if isinstance(tree, list) else tree
