"""Small pictures and annotations in the layout in which well-known data sets come."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np

from rlepose.pose.joint_sets import AP10K, CROWDPOSE, HALPE26, WHOLEBODY

SIDE = 96
PARTS = (("foot", 6), ("face", 68), ("lefthand", 21), ("righthand", 21))


def _wholebody(person: dict[str, Any], number: int) -> dict[str, Any]:
    """The joints in five lists; the second person's left hand is not valid and holds nonsense."""
    joints, start = person["keypoints"], 3 * 17
    person |= {"keypoints": joints[:start], "area": 3000}
    for part, count in PARTS:
        values = joints[start : start + 3 * count]
        person |= {f"{part}_kpts": values, f"{part}_valid": True}
        if "hand" in part:
            xy = np.array(values).reshape(-1, 3)[:, :2]
            person[f"{part}_box"] = [*(xy.min(0) - 2), *(xy.max(0) - xy.min(0) + 4)]
        start += 3 * count
    person["lefthand_valid"] = number != 1
    return person


def _halpe(person: dict[str, Any], number: int) -> dict[str, Any]:
    return person | {"keypoints": person["keypoints"] + [0.0] * 3 * 110}


def _as_it_is(person: dict[str, Any], number: int) -> dict[str, Any]:
    return person


class Layout(NamedTuple):
    joints: tuple[str, ...]
    annotations: str
    images: Mapping[str, str]
    person: Callable[[dict[str, Any], int], dict[str, Any]]
    categories: list[dict[str, Any]]


def _animals() -> list[dict[str, Any]]:
    return [{"id": i, "name": name, "keypoints": AP10K.names} for i, name in ((1, "antelope"), (2, "dog"), (3, "ox"))]


PERSON = [{"id": 1, "name": "person"}]
COCO = {"train": "train2017", "val": "val2017"}
LAYOUTS = {
    "coco_wholebody": Layout(WHOLEBODY.names, "coco_wholebody_{}_v1.0.json", COCO, _wholebody, PERSON),
    "coco_hands": Layout(WHOLEBODY.names, "coco_wholebody_{}_v1.0.json", COCO, _wholebody, PERSON),
    "halpe26": Layout(
        HALPE26.names, "halpe_{}_v1.json", {"train": "images/train2015", "val": "images/val2017"}, _halpe, PERSON
    ),
    "crowdpose": Layout(
        CROWDPOSE.names, "crowdpose_{}.json", {"train": "images", "val": "images", "test": "images"}, _as_it_is, PERSON
    ),
    "ap10k": Layout(AP10K.names, "ap10k-{}-split1.json", {"train": "data", "val": "data"}, _as_it_is, _animals()),
}


def draw_dataset(root: Path, name: str, pictures: int = 4) -> None:
    """Files of each split as they are fetched: a figure of dots a picture, with a colour for each joint."""
    layout, rng = LAYOUTS[name], np.random.default_rng(0)
    count = len(layout.joints)
    figure = rng.uniform(-0.5, 0.5, (count, 2))
    colours = rng.integers(60, 256, (count, 3)).tolist()
    (root / "annotations").mkdir(parents=True, exist_ok=True)
    for number, (split, folder) in enumerate(layout.images.items()):
        (root / folder).mkdir(parents=True, exist_ok=True)
        images, people = [], []
        for identity in range(1000 * number, 1000 * number + pictures):
            xy = SIDE / 2 + rng.uniform(-8, 8, 2) + figure * rng.uniform(50, 75)
            picture = np.zeros((SIDE, SIDE, 3), np.uint8)
            for (x, y), colour in zip(xy.round().astype(int).tolist(), colours, strict=True):
                cv2.circle(picture, (x, y), 2, colour, -1)
            cv2.imwrite(str(root / folder / f"{identity:06}.png"), picture)
            images.append({"id": identity, "file_name": f"{identity:06}.png", "width": SIDE, "height": SIDE})
            box = [*(xy.min(0) - 3).round(2), *(xy.max(0) - xy.min(0) + 6).round(2)]
            kinds = layout.categories
            person = {"id": identity, "image_id": identity, "category_id": kinds[identity % len(kinds)]["id"]}
            person |= {"bbox": box, "iscrowd": 0}
            person["keypoints"] = np.column_stack([xy.round(2), np.full(count, 2.0)]).ravel().tolist()
            people.append(layout.person(person, identity % 1000))
        tree = {"images": images, "annotations": people, "categories": layout.categories}
        (root / "annotations" / layout.annotations.format(split)).write_text(json.dumps(tree))
