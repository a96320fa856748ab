"""Checkpoints written beside the training, which waits for a copy in host memory only."""

import copy
import threading
from pathlib import Path
from typing import Any

import torch

from rlepose.runtime.checkpoint_file import write_tree


class BackgroundSaver:
    """Writes one checkpoint at a time, in a thread of its own.

    What is in the file is how things stood when `save` was called. An error of writing (see `write_tree`) comes
    from the next `save` or `wait`. A process that ends without `wait` still finishes the file.
    """

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None

    def save(self, path: Path, tree: dict[str, Any], previous: Path | None = None) -> None:
        """Copy a checkpoint's tree and begin to write it as `write_tree` does, after the one before is written."""
        self.wait()
        arguments = (path, _copied(tree), previous)
        self._thread = threading.Thread(target=self._write, args=arguments, name=f"saving {path.name}")
        self._thread.start()

    def wait(self) -> None:
        """Until the last checkpoint is on the disk; raises what its writing raised."""
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
    """A copy in host memory of all tensors in dicts and lists, which keep their types and attributes."""
    if isinstance(tree, torch.Tensor):
        return tree.detach().to("cpu", copy=True)
    if isinstance(tree, dict):
        new = copy.copy(tree)  # a state dict has versions, too
        new.update({key: _copied(value) for key, value in tree.items()})
        return new
    return [_copied(value) for value in tree] if isinstance(tree, list) else tree
