"""Write drawn data sets: once, in parallel, as JPEG."""

import functools
import json
import multiprocessing
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2

from rlepose.drawn_people.painting import Bytes
from rlepose.errors import InputError
from rlepose.outputs import Output, check_output

SPREAD_FROM = 100  # number of work items from which all cores are used
JPEG_QUALITY = 90


def make_once(root: Path, arguments: Mapping[str, Any], write: Callable[[], None]) -> bool:
    """Call `write`, which fills the folder `root`, unless a call with the same arguments has already filled it.

    Returns whether it was called. Files of an interrupted call are rewritten; any other content of `root` is an
    InputError.
    """
    stamp, unfinished = root / "synthetic.json", root / "synthetic.unfinished"
    stamp_text = json.dumps(arguments, indent=2) + "\n"
    if stamp.is_file() and stamp.read_text() == stamp_text:
        return False
    if unfinished.is_file():
        shutil.rmtree(root)
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise InputError(
            f"{root}: already exists and was not made with the arguments {json.dumps(arguments)}; "
            "delete it or pass another --out"
        )
    check_output(Output(root, "--out FOLDER"))
    root.mkdir(parents=True, exist_ok=True)
    unfinished.touch()
    write()
    stamp.write_text(stamp_text)
    unfinished.unlink()
    return True


@contextmanager
def mapping(num_pieces: int) -> Iterator[Callable[..., Iterable[Any]]]:
    """Return `map` or, for more than a few work items, a version that uses all cores."""
    if num_pieces < SPREAD_FROM:
        yield map
        return
    # Spawned, not forked: a process that is forked while OpenCV has threads hangs.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(initializer=cv2.setNumThreads, initargs=(0,), mp_context=context) as pool:
        yield functools.partial(pool.map, chunksize=16)


def write_jpeg(path: Path, picture: Bytes) -> None:
    """Write a picture (H, W, 3) BGR."""
    _, encoded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    path.write_bytes(encoded.tobytes())
