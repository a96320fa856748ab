"""Make a livestock data set, animals from the side, from a clone of Wang et al.'s LivestockKeypoints v1.0.

The published splits of horses and sheep have consecutive pictures on both sides. The new val split has other horses,
later pictures of the sheep, and cattle of another farm; as many pictures again are in neither split. Each animal, one
per picture, is cropped with a margin and downscaled.
"""

import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np

from rlepose.datasets.formats.coco import finite_numbers
from rlepose.datasets.formats.coco_file import CocoFile
from rlepose.datasets.images import read_image
from rlepose.errors import InputError
from rlepose.evaluation.results import write_json
from rlepose.pose.geometry import Floats
from rlepose.pose.joint_sets import LIVESTOCK
from rlepose.preparation.sources import ALL_LIVESTOCK, LIVESTOCK_SPECIES, LIVESTOCK_SPLITS

log = logging.getLogger(__name__)

_HELD_OUT = "held out"
_FRAMES = 20  # number of consecutive pictures in a group
_MARGIN = 1.35  # width and height of the crop relative to the box
_LONGEST_SIDE = 224  # px
_JPEG_QUALITY = 88


class _Animal(NamedTuple):
    species: str
    picture: Path
    bbox_xywh: Floats
    joints: Floats  # (18, 3): x, y, visibility


class _Placed(NamedTuple):
    """An animal with its split. group: number of the horse, or of a block of consecutive pictures."""

    animal: _Animal
    split: str
    group: int


def make_livestock(checkout: Path, root: Path) -> None:
    """Write images/{train,val}/ and annotations/{livestock,cattle,horse,sheep}_{train,val}.json to `root`.

    checkout: folder of the clone, or data_process in it. Annotation files are written last, so that they only exist if
    all pictures do. Raises InputError if the clone does not have the layout of v1.0.
    """
    data = checkout / "data_process"
    placed = list(_placed(data if data.is_dir() else checkout))
    images: dict[tuple[str, str], list[dict[str, Any]]] = {
        (n, s): [] for n in (ALL_LIVESTOCK, *LIVESTOCK_SPECIES) for s in LIVESTOCK_SPLITS
    }
    annotations: dict[tuple[str, str], list[dict[str, Any]]] = {key: [] for key in images}
    log.info("%s: cropping %d animals", data, sum(split in LIVESTOCK_SPLITS for _, split, _ in placed))
    for number, (animal, split, group) in enumerate(placed):
        if split not in LIVESTOCK_SPLITS:
            continue
        image, annotation = _cut(animal, root / "images" / split / f"{number:05d}.jpg")
        for name in (ALL_LIVESTOCK, animal.species):
            images[name, split].append({"id": number, **image, "group": group})
            annotations[name, split].append({"id": number, "image_id": number, **annotation})
    for name, split in images:
        category = {
            "id": 1,
            "name": "animal" if name == ALL_LIVESTOCK else name,
            "supercategory": "animal",
            "keypoints": LIVESTOCK.names,
            "skeleton": [(i + 1, j + 1) for i, j in LIVESTOCK.bones],
        }
        about = (
            f"{name}, side view, split {split}; after Yiwei Wang et al., LivestockKeypoints v1.0, CC BY 4.0, cut and "
            "shrunk"
        )
        tree = {
            "info": {"description": about},
            "images": images[name, split],
            "annotations": annotations[name, split],
            "categories": [category],
        }
        write_json(root / "annotations" / f"{name}_{split}.json", tree)


def _placed(data: Path) -> Iterator[_Placed]:
    """Yield all animals, in the order of their numbers."""
    yield from _horses(_published(data, "horse"))
    films: dict[str, list[_Animal]] = {"left": [], "right": []}
    for animal in _published(data, "sheep"):
        side = animal.picture.name.partition("-")[0]
        if side not in films:
            raise InputError(
                f"{animal.picture}: expected a name that starts with left- or right-; use v1.0 of the data set"
            )
        films[side].append(animal)
    for film, first_group in zip(films.values(), (2000, 2100), strict=True):
        film.sort(key=_number)
        for place, animal in enumerate(film):
            split = "train" if place < 0.7 * len(film) else "val" if place < 0.85 * len(film) else _HELD_OUT
            yield _Placed(animal, split, first_group + place // _FRAMES)
    for farm, first_group in (("A", 3000), ("B", 3100), ("C", 3200)):
        folder = data / "cattle" / farm
        herd = _animals("cattle", folder / "annotations" / "_annotations.coco.json", folder / "images")
        herd.sort(key=lambda animal: (re.sub(r"\d+", "", _original_name(animal)), _number(animal)))
        for place, animal in enumerate(herd):
            split = "train" if farm != "C" else "val" if place < len(herd) / 2 else _HELD_OUT
            yield _Placed(animal, split, first_group + place // _FRAMES)


def _horses(animals: list[_Animal]) -> Iterator[_Placed]:
    """Six of eight horses are in train, one is in val, and one is held out."""
    names = [re.split(r"[-_]?\d+[-_]*png", animal.picture.name)[0] for animal in animals]  # dao-8-10-_png -> dao-8
    horses = sorted(set(names))
    for animal, name in zip(animals, names, strict=True):
        horse = horses.index(name)
        yield _Placed(animal, {6: "val", 7: _HELD_OUT}.get(horse % 8, "train"), 1000 + horse)


def _published(data: Path, species: str) -> list[_Animal]:
    """Return the animals of the three published splits together."""
    folder = data / species
    return [
        animal
        for split in ("train", "val", "test")
        for animal in _animals(
            species, folder / "annotations" / f"{split}_annotations.coco.json", folder / "images" / split
        )
    ]


def _animals(species: str, path: Path, images: Path) -> list[_Animal]:
    if not path.is_file():
        raise InputError(f"{path}: missing; pass --source with the folder of a clone of LivestockKeypoints v1.0")
    coco = CocoFile(path)
    labels = {annotation["image_id"]: annotation for annotation in coco.annotations}
    animals = []
    for image in coco.images:
        label = labels.get(image["id"])
        if label is None:
            continue
        bbox = finite_numbers(label.get("bbox"), 4)
        joints = finite_numbers(label.get("keypoints"), 3 * len(LIVESTOCK.names))
        if bbox is None or joints is None:
            raise InputError(
                f"{path}: annotation {label['id']}: expected a box and {len(LIVESTOCK.names)} joints with finite "
                "numbers; use v1.0 of the data set"
            )
        animals.append(_Animal(species, images / image["file_name"], bbox, joints.reshape(-1, 3)))
    return animals


def _original_name(animal: _Animal) -> str:
    """Return the picture's name before Roboflow's suffix: right_10_png.rf.6e50b962.jpg -> right_10_png."""
    return animal.picture.name.partition(".rf.")[0]


def _number(animal: _Animal) -> int:
    """Return the last number in the picture's name, which increases with time."""
    numbers = re.findall(r"\d+", _original_name(animal))
    return int(numbers[-1]) if numbers else 0


def _cut(animal: _Animal, path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Write the cropped picture; return its image entry, without id and group, and its annotation entry."""
    picture = read_image(animal.picture)
    corner, size = animal.bbox_xywh[:2], animal.bbox_xywh[2:]
    center, half = corner + size / 2, size * _MARGIN / 2
    low = np.maximum(np.floor(center - half), 0).astype(int)
    high = np.minimum(np.ceil(center + half), picture.shape[1::-1]).astype(int)
    if (high <= low).any():
        raise InputError(
            f"{animal.picture}: the animal's box {animal.bbox_xywh.tolist()} is outside it; clone the repository again"
        )
    cut = picture[low[1] : high[1], low[0] : high[0]]
    shrink = _LONGEST_SIDE / max(cut.shape[:2])
    if shrink < 1:
        cut = cv2.resize(cut, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
    size_wh = np.array(cut.shape[1::-1])
    scale = size_wh / (high - low)
    visible = animal.joints[:, 2:]
    joints = np.where(visible > 0, np.hstack([(animal.joints[:, :2] - low) * scale, visible]), 0)
    box_corner = np.maximum((corner - low) * scale, 0)
    box_size = np.minimum(size * scale, size_wh - box_corner)
    path.parent.mkdir(parents=True, exist_ok=True)
    _, encoded = cv2.imencode(".jpg", cv2.cvtColor(cut, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    path.write_bytes(encoded.tobytes())
    image = {"file_name": path.name, "height": int(size_wh[1]), "width": int(size_wh[0])}
    annotation = {
        "category_id": 1,
        "iscrowd": 0,
        "bbox": [round(side, 2) for side in [*box_corner.tolist(), *box_size.tolist()]],
        "area": round(float(np.prod(box_size)), 2),
        "species": animal.species,
        "num_keypoints": int((visible > 0).sum()),
        "keypoints": [round(value, 2) for value in joints.ravel().tolist()],
    }
    return image, annotation
