"""Cache the crops of all training persons in one file, so that an epoch decodes small crops and not whole pictures.

The cache contains the region of the picture that augmentation can reach (augment.reachable_region), downscaled if its
resolution is much higher than in the training crops (of_config.py). A folder contains crops.bin, the concatenated
bytes of all crops, and index.npy, with their offsets and positions; both are memory-mapped, so that all processes share
them. index.npy is written last and marks the cache as complete.
"""

import fcntl
import hashlib
import logging
import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from rlepose.datasets.images import ImageFiles, View, read_labelled_image
from rlepose.datasets.persons import PersonTable
from rlepose.errors import InputError, first_line
from rlepose.pose.geometry import Floats

log = logging.getLogger(__name__)

CropFormat = Literal["jpeg", "raw"]

_FORMAT = 4
_JPEG_QUALITY = 90
_MARGIN = 2  # stored pixels beyond the reachable region, needed for interpolation at its border
_PICTURES_A_BLOCK = 256  # number of pictures that are written and synced together
_SAMPLED_PERSONS = 64  # number of persons from which the size of the cache is estimated
_CROP = np.dtype(
    [
        ("start", np.int64),  # offset in crops.bin
        ("length", np.int64),  # bytes; 0 for an unreadable picture
        ("stored_size", np.int32, 2),  # width and height in stored px
        ("step", np.float64, 2),  # px of the picture per stored px
        ("origin", np.float64, 2),  # position of the first stored pixel's centre in the picture, px
    ]
)
Crops = NDArray[Any]  # of dtype _CROP


class CropCache:
    """An ImageSource that reads from a complete cache. Each process opens the files itself.

    A damaged crop is read from its picture, and the first one is warned of.
    """

    def __init__(self, folder: Path, crop_format: CropFormat, table: PersonTable) -> None:
        self._folder = folder
        self._crop_format = crop_format
        self._table = table
        self._files: tuple[Crops, NDArray[np.uint8]] | None = None
        self._pictures: ImageFiles | None = None  # once a crop is damaged

    def view(self, person: int) -> View:
        crops, data = self._open()
        crop = crops[person]
        if not crop["length"]:
            raise InputError(
                f"{self._table.image_path(person)}: unreadable when the cache {self._folder} was made; repair the "
                "picture and delete that folder"
            )
        stored = data[crop["start"] : crop["start"] + crop["length"]]
        width, height = crop["stored_size"]
        if self._crop_format == "raw":
            pixels = stored.reshape(height, width, 3)
        else:
            decoded = cv2.imdecode(stored, cv2.IMREAD_COLOR_RGB)
            if decoded is None or decoded.shape[:2] != (height, width):
                return self._view_of_picture(person)
            pixels = decoded
        return View(pixels, crop["step"], crop["origin"])

    def _view_of_picture(self, person: int) -> View:
        if self._pictures is None:
            log.warning(
                "%s: damaged; its pictures are read instead, and the next run makes it again if you delete it",
                self._folder,
            )
            self._pictures = ImageFiles(self._table)
        return self._pictures.view(person)

    def _open(self) -> tuple[Crops, NDArray[np.uint8]]:
        if self._files is None:
            crops = np.load(self._folder / "index.npy", mmap_mode="r")
            path = self._folder / "crops.bin"
            data = np.memmap(path, np.uint8, mode="r") if path.stat().st_size else np.empty(0, np.uint8)
            self._files = np.asarray(crops), np.asarray(data)
        return self._files

    def __getstate__(self) -> dict[str, Any]:
        # Pickling a memory-mapped array would copy its content, which is gigabytes.
        return self.__dict__ | {"_files": None}


def crop_cache(
    parent: Path, crop_format: CropFormat, table: PersonTable, reach: Floats, shrink: Floats, on_bad_image: str
) -> CropCache | None:
    """Return the cache of a table's crops; all cores make it if it does not exist.

    An interrupted process is continued. If several processes need the cache, one makes it and the others wait. A cache
    that is damaged, or whose pictures have changed in size or date, is made again, with a warning. If it cannot be
    written, the result is None, with a warning: the pictures are then read each time.

    Args:
        parent: folder of all caches.
        crop_format: format of the stored crops.
        table: N persons.
        reach: (N, 4), left, top, right, bottom of the region to store for each person, px in the picture.
        shrink: (N,), factor by which a region may be downscaled; values above 1 count as 1.
        on_bad_image: 'error' to stop at an unreadable picture, 'skip' to omit it.

    Raises InputError for an unreadable picture, with on_bad_image='error'.
    """
    wanted = _plan(table, reach, np.minimum(shrink, 1))
    folder = parent / f"crops-{crop_format}-{_fingerprint(crop_format, table, wanted)}"
    stamps = _stamps(table)
    try:
        if _problem(folder, wanted, stamps) is not None:  # a complete cache may be on a read-only disk
            folder.mkdir(parents=True, exist_ok=True)
            with _alone(folder):
                problem = _problem(folder, wanted, stamps)
                if problem:
                    log.warning("crop cache      %s is made again: %s", folder, problem)
                    _clear(folder)
                if problem is not None:
                    _make(folder, crop_format, table, wanted, on_bad_image, stamps)
    except OSError as error:
        log.warning(
            "data.cache: cannot write %s (%s), so pictures are read each time; set data.cache_dir to another folder",
            *(folder, error.strerror or error),
        )
        return None
    return CropCache(folder, crop_format, table)


def _stamps(table: PersonTable) -> NDArray[np.int64]:
    """Return (pictures, 2) size in bytes and date of change of the pictures in use, -1 for those that are not there."""

    def stamp(row: int) -> tuple[int, int]:
        try:
            status = table.picture_path(row).stat()
        except OSError:
            return -1, -1
        return status.st_size, status.st_mtime_ns

    with ThreadPoolExecutor(16) as pool:  # a network disk takes long to answer, but answers many at once
        return np.array(list(pool.map(stamp, np.unique(table.image_index).tolist())), np.int64).reshape(-1, 2)


def _problem(folder: Path, wanted: Crops, stamps: NDArray[np.int64]) -> str | None:
    """Return why the cache in a folder cannot be used, '' if there is none or it is not finished, None if it can be."""
    if not (folder / "index.npy").exists():
        return ""
    try:
        crops, made_of = (np.load(folder / name, allow_pickle=False) for name in ("index.npy", "pictures.npy"))
        size = (folder / "crops.bin").stat().st_size
    except (OSError, ValueError, EOFError) as error:
        return f"it is damaged ({first_line(error)})"
    if crops.dtype != _CROP or len(crops) != len(wanted) or size != crops["length"].sum():
        return "its files do not fit together"
    if made_of.shape != stamps.shape:
        return "it is of other pictures"
    changed = int((made_of != stamps).any(axis=1).sum())
    return f"{changed} pictures have changed since" if changed else None


def _clear(folder: Path) -> None:
    for name in ("index.npy", "pictures.npy", "crops.bin", "lengths.part"):
        (folder / name).unlink(missing_ok=True)


def _plan(table: PersonTable, reach: Floats, shrink: Floats) -> Crops:
    """Return the region and size of each stored crop; offsets are not known yet."""
    crops = np.zeros(len(table), _CROP)
    picture_wh = table.image_size_wh[table.image_index]
    margin = np.ceil(_MARGIN / shrink)[:, None]  # px of the picture
    low = np.clip(np.floor(reach[:, :2]) - margin, 0, picture_wh - 1)
    high = np.clip(np.ceil(reach[:, 2:]) + margin + 1, low + 1, picture_wh)
    crops["stored_size"] = np.maximum(np.round((high - low) * shrink[:, None]), 1)
    crops["step"] = (high - low) / crops["stored_size"]
    crops["origin"] = low + (crops["step"] - 1) / 2
    return crops


def _fingerprint(crop_format: str, table: PersonTable, wanted: Crops) -> str:
    """Return a hash of everything that determines the cache's content, except for the pixels."""
    digest = hashlib.sha256(
        f"{_FORMAT} {crop_format} {_JPEG_QUALITY} {table.image_root.absolute()} {table.upright} {table.bits}".encode()
    )
    for array in (table.person_ids, table.image_index, table.image_files, wanted):
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()[:16]


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Wait until no other process works on the folder. The lock of a dead process is free."""
    with (folder / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _make(
    folder: Path,
    crop_format: CropFormat,
    table: PersonTable,
    wanted: Crops,
    on_bad_image: str,
    stamps: NDArray[np.int64],
) -> None:
    # All persons of a picture together, so that it is decoded once.
    order = np.argsort(table.image_index, kind="stable")
    pictures = np.split(order, np.flatnonzero(np.diff(table.image_index[order])) + 1)
    encode = partial(_encode_picture, crop_format, table, wanted, on_bad_image)
    cv2.setNumThreads(0)  # the thread pool below provides the parallelism
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool, _Parts(folder) as parts:
        persons_after = np.cumsum([len(persons) for persons in pictures])
        first = int(np.searchsorted(persons_after, parts.count, side="right"))  # number of finished pictures
        parts.keep(int(persons_after[first - 1]) if first else 0)
        _announce(folder, crop_format, wanted, pictures, first, pool, encode)
        progress = tqdm(total=len(pictures), initial=first, desc="crop cache", unit="picture", disable=None)
        for start in range(first, len(pictures), _PICTURES_A_BLOCK):
            block = pictures[start : start + _PICTURES_A_BLOCK]
            parts.append([data for of_picture in pool.map(encode, block) for data in of_picture])
            progress.update(len(block))
        progress.close()
        lengths = parts.lengths()
    crops = wanted.copy()
    crops["length"][order] = lengths
    crops["start"][order] = np.cumsum(lengths) - lengths
    for name, array in (("pictures", stamps), ("index", crops)):  # a cache with an index is complete
        with (folder / f"{name}.part.npy").open("wb") as file:
            np.save(file, array)
            file.flush()
            os.fsync(file.fileno())
        (folder / f"{name}.part.npy").rename(folder / f"{name}.npy")
    (folder / "lengths.part").unlink()


class _Parts:
    """The crops written so far: crops.bin, and the length of each crop in lengths.part."""

    def __init__(self, folder: Path) -> None:
        self._data = (folder / "crops.bin").open("ab")
        self._lengths = (folder / "lengths.part").open("a+b")
        self.count = len(self.lengths())

    def __enter__(self) -> "_Parts":
        return self

    def __exit__(self, *_: object) -> None:
        self._data.close()
        self._lengths.close()

    def keep(self, count: int) -> None:
        """Truncate after the first `count` crops: a crash can leave part of a block."""
        lengths = self.lengths()[:count]
        self._lengths.truncate(lengths.nbytes)
        self._data.truncate(int(lengths.sum()))
        self.count = count

    def append(self, crops: list[bytes]) -> None:
        """Append crops so that they survive a crash: lengths are written after the data are synced."""
        lengths = np.array([len(crop) for crop in crops], np.int64)
        for file, content in ((self._data, b"".join(crops)), (self._lengths, lengths.tobytes())):
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        self.count += len(crops)

    def lengths(self) -> NDArray[np.int64]:
        """Return the bytes of each crop written."""
        self._lengths.seek(0)
        content = self._lengths.read()
        return np.frombuffer(content[: len(content) // 8 * 8], np.int64)


def _encode_picture(
    crop_format: CropFormat, table: PersonTable, wanted: Crops, on_bad_image: str, persons: NDArray[np.intp]
) -> list[bytes]:
    """Return the stored bytes of each of these persons, who must all be in one picture."""
    try:
        image = read_labelled_image(table, int(table.image_index[persons[0]]))
    except InputError:
        if on_bad_image == "error":
            raise
        return [b""] * len(persons)
    return [_encode(crop_format, image, wanted[person]) for person in persons]


def _encode(crop_format: CropFormat, image: NDArray[np.uint8], crop: Any) -> bytes:
    left, top = np.round(crop["origin"] - (crop["step"] - 1) / 2).astype(int)
    width, height = np.round(crop["step"] * crop["stored_size"]).astype(int)
    pixels = image[top : top + height, left : left + width]
    if (crop["step"] != 1).any():
        pixels = cv2.resize(pixels, tuple(map(int, crop["stored_size"])), interpolation=cv2.INTER_AREA)
    if crop_format == "raw":
        return pixels.tobytes()
    bgr = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    return cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])[1].tobytes()


def _announce(
    folder: Path,
    crop_format: CropFormat,
    wanted: Crops,
    pictures: list[NDArray[np.intp]],
    first: int,
    pool: ThreadPoolExecutor,
    encode: Any,
) -> None:
    """Log the estimated size of the cache; OSError if the disk is too small."""
    left_to_do = pictures[first:]
    persons = np.concatenate([np.empty(0, np.intp), *left_to_do])
    if crop_format == "raw":
        size = int(wanted["stored_size"][persons].astype(np.int64).prod(axis=1).sum() * 3)
    else:
        chosen = left_to_do[:: max(1, len(left_to_do) // _SAMPLED_PERSONS)]
        sample = [len(data) for of_picture in pool.map(encode, chosen) for data in of_picture]
        size = int(np.mean(sample) * len(persons)) if sample else 0
    free = shutil.disk_usage(folder).free
    log.info(
        "crop cache      %d persons, about %.2f GB in %s%s",
        len(persons),
        size / 1e9,
        folder,
        " (continued)" * (first > 0),
    )
    if size > 0.95 * free:
        jpeg = " or take data.cache=jpeg," if crop_format == "raw" else ""
        raise OSError(f"needs about {size / 1e9:.1f} GB,{jpeg} where {free / 1e9:.1f} GB are free")
