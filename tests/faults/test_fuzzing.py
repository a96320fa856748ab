"""Files of random damage and content, found by hypothesis: success or an InputError, and nothing written."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rlepose.datasets.formats.coco import persons_from_annotations
from rlepose.datasets.formats.coco_file import CocoFile
from rlepose.datasets.images import read_image
from rlepose.errors import InputError
from rlepose.evaluation.truth import truth_of
from rlepose.runtime.checkpoint import load_checkpoint, save_checkpoint
from tests.faults.save_loop import checkpoint

often = pytest.mark.parametrize("examples", [20, pytest.param(1000, marks=pytest.mark.faults)])
places = st.floats(0, 1, exclude_max=True)  # of a file's length
flips = st.lists(st.tuples(places, st.integers(1, 255)), max_size=8)


def hold(examples: int, test: Callable[..., None], **values: st.SearchStrategy[Any]) -> None:
    """The test on so many examples, the same in each run."""
    checks = [HealthCheck.too_slow, HealthCheck.data_too_large]
    every = settings(
        max_examples=examples, derandomize=True, deadline=None, database=None, suppress_health_check=checks
    )
    every(given(**values)(test))()


def damaged(content: bytes, flips: list[tuple[float, int]], kept: float) -> bytes:
    """Some bytes changed, the end cut off."""
    result = bytearray(content)
    for place, change in flips:
        result[int(place * len(result))] ^= change
    return bytes(result[: round(len(result) * kept)])


def read_or_refused(path: Path, read: Callable[[Path], Any]) -> Any:
    """What reading the file gives, None if it is an InputError that names it; it leaves nothing behind."""
    before, result, refusal = sorted(path.parent.iterdir()), None, str(path)
    try:
        result = read(path)
    except InputError as error:
        refusal = str(error)
    assert str(path) in refusal
    assert sorted(path.parent.iterdir()) == before
    return result


@often
def test_checkpoints(tmp_path: Path, examples: int) -> None:
    path = tmp_path / "last.pt"
    save_checkpoint(path, checkpoint(1))
    content = path.read_bytes()

    def test(flips: list[tuple[float, int]], kept: float) -> None:
        path.write_bytes(damaged(content, flips, kept))
        read = read_or_refused(path, load_checkpoint)
        assert read is None or read.model["weight"].unique().tolist() == [1.0]

    hold(examples, test, flips=flips, kept=st.just(1.0) | places)


@often
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".bmp", ".tiff", ".gif"])
def test_pictures(tmp_path: Path, suffix: str, examples: int) -> None:
    path = tmp_path / f"picture{suffix}"
    noise = np.random.default_rng(0).integers(0, 256, (30, 40, 3), np.uint8)
    content = cv2.imencode(suffix, noise)[1].tobytes()

    def test(flips: list[tuple[float, int]], kept: float) -> None:
        path.write_bytes(damaged(content, flips, kept))
        read = read_or_refused(path, read_image)
        assert read is None or (read.ndim == 3 and read.dtype == np.uint8 and read.size < 2**28)

    hold(examples, test, flips=flips, kept=st.just(1.0) | places)


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text()
    | st.sampled_from(["../secret.jpg", "/etc/passwd", "nose", "id", "bbox", 10**400]),
    lambda child: st.lists(child, max_size=4) | st.dictionaries(st.text(max_size=5), child, max_size=3),
    max_leaves=8,
)


def nodes(tree: Any, way: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The ways to all values of a JSON tree."""
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    return [way] * bool(way) + [deeper for key, value in items for deeper in nodes(value, (*way, key))]


def changed(tree: Any, way: tuple[Any, ...], value: Any) -> Any:
    """The tree with another value there; the value `...` takes the entry out."""
    tree = copy.deepcopy(tree)
    *parents, last = way
    place = tree
    for key in parents:
        place = place[key]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return tree


@often
def test_annotations(write_coco: Callable[..., Path], examples: int) -> None:
    """Any value in any place of a file that is right otherwise."""
    path = write_coco(persons=[{}, {"iscrowd": 1}], pictures=[{}, {"file_name": "other.png"}])
    honest = json.loads(path.read_text())

    def read(path: Path) -> tuple[Any, Any]:
        coco = CocoFile(path)
        return truth_of(coco), persons_from_annotations(coco, path.parent)

    def test(way: tuple[Any, ...], value: Any) -> None:
        path.write_text(json.dumps(changed(honest, way, value)))
        answer = read_or_refused(path, read)
        if answer is None:
            return
        truth, table = answer
        arrays = (truth.keypoints, truth.bbox_xywh, truth.area, table.keypoints, table.bbox_xywh)
        assert all(np.isfinite(array).all() for array in arrays)
        root = path.parent.resolve()
        assert all(table.image_path(person).resolve().is_relative_to(root) for person in range(len(table)))

    hold(examples, test, way=st.sampled_from(nodes(honest)), value=anything | st.just(...))
