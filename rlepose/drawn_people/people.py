"""A data set of drawn people with exact labels, written as JPEG files and COCO's keypoint JSON."""

import functools
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from rlepose.drawn_people.body import FACE_POINTS, Body, sample_body
from rlepose.drawn_people.clothes import random_colour, sample_clothes
from rlepose.drawn_people.files import make_once, mapping, write_jpeg
from rlepose.drawn_people.painting import PARTS, Bytes, Canvas, PersonPainter
from rlepose.drawn_people.scene import background, photograph
from rlepose.errors import InputError
from rlepose.pose.geometry import Floats
from rlepose.pose.skeleton import COCO

# Increase it whenever the same arguments give other pictures or labels.
DRAWING_VERSION = 2

# Parameters of the difficulty of the data set.
PICTURE_SIZES = ((256, 320), (320, 256), (288, 288), (240, 320), (320, 320), (352, 288))  # (width, height)
PEOPLE_SHARES = (0.4, 0.35, 0.2, 0.05)  # of pictures with 1, 2, 3, 4 people
PERSON_HEIGHT = (75.0, 240.0)  # standing, pixels; log-uniform
TRUNCATION_SHARE = 0.25  # of people who may extend beyond the picture's border ...
MAX_OVERHANG = 0.4  # ... by at most this share of their box
MAX_OVERLAP = 0.2  # of the smaller of two people's boxes
OCCLUDER_SHARE = 0.12  # of people with an object in front
OCCLUDER_SIZE = (0.06, 0.16)  # radius, person heights

# Parameters of the labels.
MIN_VISIBLE_AREA = 0.05  # squared person heights; a whole standing person covers about 0.2
MIN_LABELLED_JOINTS = 3
OWN_PIXEL_SHARE = 0.5  # minimum share of the pixels around a visible joint
JOINT_RADIUS = 0.012  # person heights
# A face point is visible if its normal's component towards the viewer exceeds this: the nose sticks out, ears more.
FACE_VISIBLE_ABOVE = {"nose": -0.2, "eye": 0.0, "ear": -0.35}
# Face points that are turned away further than this are unlabelled, as in COCO.
FACE_LABELLED_MARGIN = 0.3
# A shoulder or hip this far behind the middle of the trunk (person heights) is on its far side and hidden by it.
TORSO_JOINT_DEPTH = {"shoulder": 0.080, "hip": 0.048}

_OCCLUDER_OWNER = 255
_PLACEMENT_TRIES = 8
_LIMB_PARTS = {
    "shoulder": ("upper_arm",),
    "elbow": ("upper_arm", "forearm"),
    "wrist": ("forearm",),
    "hip": ("thigh",),
    "knee": ("thigh", "shin"),
    "ankle": ("shin",),
}
_TRUNK_PARTS = {"shoulder": ("torso",), "hip": ("torso", "pelvis")}


@dataclass(frozen=True)
class Person:
    """A placed body and the owner numbers of its parts in the canvas (first_owner + index in PARTS)."""

    body: Body
    first_owner: int
    long_hair: bool

    def owners(self, parts: tuple[str, ...]) -> list[int]:
        return [self.first_owner + PARTS.index(part) for part in parts]


def make_synthetic(root: Path, sizes: Mapping[str, int], seed: int) -> bool:
    """Write every split of `sizes` (name -> number of pictures) to `root`.

    Returns False, and writes nothing, if `root` already contains the same data set. Files of an interrupted call are
    redrawn; any other content of `root` is an InputError.
    """
    for split, num_images in sizes.items():
        if num_images < 1:
            raise InputError(f"--{split}: expected 1 picture or more, got {num_images}")
    if seed < 0:
        raise InputError(f"--seed: expected 0 or more, got {seed}")

    def write() -> None:
        for split, num_images in sizes.items():
            write_synthetic(root, split, num_images, seed)

    return make_once(root, {"sizes": dict(sizes), "seed": seed, "drawing_version": DRAWING_VERSION}, write)


def _write_picture(folder: Path, split: str, seed: int, image_id: int) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Draw and write one picture; return its entries in the annotation file."""
    picture, labels = draw_picture(np.random.default_rng((seed, zlib.crc32(split.encode()), image_id)))
    name = f"{image_id:012d}.jpg"
    write_jpeg(folder / name, picture)
    height, width = picture.shape[:2]
    return {"id": image_id, "file_name": name, "width": width, "height": height}, labels


def write_synthetic(root: Path, split: str, num_images: int, seed: int) -> Path:
    """Write `root/<split>/*.jpg` and `root/annotations/person_keypoints_<split>.json`; return the JSON's path.

    Keypoints are in pixels with pixel centres at integers. Picture i only depends on seed, split and i.
    """
    picture_folder = root / split
    picture_folder.mkdir(parents=True, exist_ok=True)
    draw = functools.partial(_write_picture, picture_folder, split, seed)
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    with mapping(num_images) as map_all:
        drawn = map_all(draw, range(1, num_images + 1))
        for image, labels in tqdm(drawn, total=num_images, desc=f"drawing {split}", unit="picture"):
            images.append(image)
            for label in labels:
                annotations.append({"id": len(annotations) + 1, "image_id": image["id"], **label})
    category = {
        "id": 1,
        "name": "person",
        "supercategory": "person",
        "keypoints": list(COCO.names),
        "skeleton": [[i + 1, j + 1] for i, j in COCO.bones],
    }
    tree = {
        "info": {"description": "drawn people", "version": str(DRAWING_VERSION), "split": split, "seed": seed},
        "images": images,
        "annotations": annotations,
        "categories": [category],
    }
    path = root / "annotations" / f"person_keypoints_{split}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(tree))
    return path


def draw_picture(rng: np.random.Generator) -> tuple[Bytes, list[dict[str, Any]]]:
    """Return one picture (H, W, 3) uint8 BGR and the COCO annotations of its people, without ids."""
    width, height = PICTURE_SIZES[rng.integers(len(PICTURE_SIZES))]
    canvas = Canvas(background(rng, width, height), np.zeros((height, width), np.uint8))
    light = rng.uniform(-1, 1, size=2) * (0.9, 0.5) + (0.0, -0.4)
    people: list[Person] = []
    for index, body in enumerate(_place_bodies(rng, width, height)):
        clothes = sample_clothes(rng)
        person = Person(body, first_owner=1 + index * len(PARTS), long_hair=clothes.long_hair)
        PersonPainter(canvas, body, clothes, light, person.first_owner).draw()
        people.append(person)
        if rng.uniform() < OCCLUDER_SHARE:
            _draw_occluder(rng, canvas, body)
    labels = [label for person in people if (label := _label(person, canvas.owner)) is not None]
    return photograph(rng, canvas.image), labels


def _place_bodies(rng: np.random.Generator, width: int, height: int) -> list[Body]:
    """Return bodies in pixels of the picture, in drawing order: mostly small ones first."""
    boxes: list[Floats] = []
    bodies: list[Body] = []
    for _ in range(1 + rng.choice(len(PEOPLE_SHARES), p=PEOPLE_SHARES)):
        person_height = float(np.exp(rng.uniform(*np.log(PERSON_HEIGHT))))
        body = sample_body(rng, person_height)
        margin = 0.06 * person_height
        low, high = body.joints[:, :2].min(axis=0) - margin, body.joints[:, :2].max(axis=0) + margin
        for _ in range(_PLACEMENT_TRIES):
            overhang = rng.uniform(0, MAX_OVERHANG) if rng.uniform() < TRUNCATION_SHARE else 0.0
            span = np.sort([-overhang * (high - low), (width, height) - (1 - overhang) * (high - low)], axis=0)
            corner = rng.uniform(span[0], span[1])
            box = np.concatenate([corner, corner + high - low])
            if all(_overlap(box, other) <= MAX_OVERLAP for other in boxes):
                boxes.append(box)
                bodies.append(_moved(body, corner - low))
                break
    nearness = [body.height * rng.uniform(0.7, 1.3) for body in bodies]
    return [bodies[index] for index in np.argsort(nearness)]


def _overlap(a: Floats, b: Floats) -> float:
    """Return the shared area of two boxes (x0, y0, x1, y1) divided by the smaller one's."""
    shared = np.clip(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0, None).prod()
    return float(shared / min((a[2:] - a[:2]).prod(), (b[2:] - b[:2]).prod()))


def _moved(body: Body, shift: Floats) -> Body:
    """Return the body moved by (dx, dy) pixels."""
    step = np.append(shift, 0.0)
    return replace(
        body,
        joints=body.joints + step,
        hands=body.hands + step,
        toes=body.toes + step,
        pelvis=body.pelvis + step,
        neck=body.neck + step,
        head=body.head + step,
    )


def _label(person: Person, owner: Bytes) -> dict[str, Any] | None:
    """Return the COCO annotation of a person, or None if too little is visible."""
    mine = (owner >= person.first_owner) & (owner < person.first_owner + len(PARTS))
    area = int(mine.sum())
    visibility = [_visibility(person, joint, owner) for joint in range(len(COCO))]
    labelled = sum(v > 0 for v in visibility)
    if area < MIN_VISIBLE_AREA * person.body.height**2 or labelled < MIN_LABELLED_JOINTS:
        return None
    columns, rows = np.flatnonzero(mine.any(axis=0)), np.flatnonzero(mine.any(axis=1))
    keypoints: list[float] = []
    for (x, y, _), v in zip(person.body.joints, visibility, strict=True):
        keypoints += [round(float(x), 2), round(float(y), 2), v] if v > 0 else [0, 0, 0]
    return {
        "category_id": 1,
        "iscrowd": 0,
        "bbox": [
            int(columns[0]),
            int(rows[0]),
            int(columns[-1] - columns[0] + 1),
            int(rows[-1] - rows[0] + 1),
        ],
        "area": area,
        "num_keypoints": labelled,
        "keypoints": keypoints,
    }


def _visibility(person: Person, joint: int, owner: Bytes) -> int:
    """Return COCO's flag: 0 unlabelled, 1 hidden, 2 visible."""
    body = person.body
    height, width = owner.shape
    x, y, z = body.joints[joint]
    if not (0 <= x <= width - 1 and 0 <= y <= height - 1):
        return 0
    name = COCO.names[joint]
    side, _, kind = name.rpartition("_")
    if name in FACE_POINTS:
        towards_viewer = -body.face_normals[FACE_POINTS.index(name), 2]
        if towards_viewer < FACE_VISIBLE_ABOVE[kind] - FACE_LABELLED_MARGIN:
            return 0
        if towards_viewer < FACE_VISIBLE_ABOVE[kind] or (kind == "ear" and person.long_hair):
            return 1
        own = person.owners(("head",))
    else:
        own = person.owners(tuple(f"{side}_{part}" for part in _LIMB_PARTS[kind]))
        trunk_depth = (body.neck[2] if kind == "shoulder" else body.pelvis[2]) / body.height
        if kind in TORSO_JOINT_DEPTH and z / body.height - trunk_depth < TORSO_JOINT_DEPTH[kind]:
            own += person.owners(_TRUNK_PARTS[kind])
    radius = max(1, round(JOINT_RADIUS * body.height))
    column, row = round(float(x)), round(float(y))
    around = owner[max(row - radius, 0) : row + radius + 1, max(column - radius, 0) : column + radius + 1]
    return 2 if np.isin(around, own).mean() >= OWN_PIXEL_SHARE else 1


def _draw_occluder(rng: np.random.Generator, canvas: Canvas, body: Body) -> None:
    """Draw a striped convex object in front of one of the body's joints."""
    centre = body.joints[rng.integers(len(body.joints)), :2] + rng.normal(0, 0.04, size=2) * body.height
    radii = rng.uniform(*OCCLUDER_SIZE, size=2) * body.height
    angles = np.sort(rng.uniform(0, 2 * np.pi, size=rng.integers(5, 9)))
    corners = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    colour, stripe = random_colour(rng), random_colour(rng)
    canvas.fill(centre + corners * radii, colour, _OCCLUDER_OWNER)
    for first in range(0, len(corners) - 3, 2):
        canvas.fill(centre + corners[first : first + 4] * radii * 0.85, 0.5 * (colour + stripe), _OCCLUDER_OWNER)
