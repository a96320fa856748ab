"""A drawn data set of people in 3-D, seen by four calibrated cameras, in the formats of Human3.6M and MPII.

Each time step of a take is independent: pictures, not motion. A time step has its own clothes, and each of its pictures
its own light and noise. The data are designed so that a small network learns them in minutes: the studio is empty
except for a mat; distant parts are darker and bluer, as under water, so that a picture shows depth; and sleeves,
trouser legs, gloves and boots have a different colour on each side. Everything is a function of the seed and the name
of a time step.
"""

import functools
import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from rlepose.datasets.formats.mpii import MPII_OF_H36M
from rlepose.drawn_people.body import Body, sample_build
from rlepose.drawn_people.clothes import Clothes, random_colour, sample_clothes
from rlepose.drawn_people.files import make_once, mapping, write_jpeg
from rlepose.drawn_people.painting import PARTS, Bytes, Canvas, PersonPainter
from rlepose.drawn_people.poses_in_space import ACTIVITIES, h36m_joints, sample_activity, seen_by_camera
from rlepose.drawn_people.scene import photograph, studio
from rlepose.errors import InputError
from rlepose.pose.camera import project, world_to_camera
from rlepose.pose.geometry import Floats
from rlepose.pose.skeleton import MPII

# Increase it whenever the same arguments give other pictures or labels.
DRAWING_VERSION = 4
# Files and subjects are named as in Human3.6M, so that the same config reads both.
FILES = {
    "train": "Sample_trainmin_train_Human36M_protocol_2.json",
    "test": "Sample_64_test_Human36M_protocol_2.json",
}
SUBJECTS = {"train": (1, 5, 6, 7, 8), "test": (9, 11)}
TAKES = (1, 2)
MPII_FILE = "annot_mpii.json"

SIDE = 192  # pixels
BRIGHTNESS = (0.9, 1.1)  # range of brightness of the studio's pictures
# For the left and the right side, BGR. In sleeves and legs, red, which shows depth best under water, is the same.
SLEEVES = ((205.0, 70.0, 190.0), (50.0, 190.0, 190.0))
LEGS = ((60.0, 90.0, 190.0), (200.0, 200.0, 190.0))
GLOVES = ((60.0, 220.0, 110.0), (230.0, 230.0, 110.0))
BOOTS = ((240.0, 80.0, 110.0), (25.0, 25.0, 25.0))
CAP = (40.0, 40.0, 240.0)
WALL_MM = 3000.0  # distance from the middle of the floor
HEIGHT_MM = (1550.0, 1950.0)
CAMERA_DISTANCE_MM = (4200.0, 4800.0)
CAMERA_HEIGHT_MM = (1200.0, 2000.0)
FOCAL_PX = (300.0, 320.0)
# Oblique to all cameras.
_MAT = np.array([[x - y, x + y, 0.0] for x, y in ((-950, -550), (950, -550), (950, 550), (-950, 550))])
_LOOKED_AT = np.array([0.0, 0.0, 750.0])

# First number of the seeds of the random streams, so that they differ.
_OF_CAMERAS, _OF_SUBJECT, _OF_CLOTHES, _OF_MOMENT, _OF_PICTURE, _OF_MPII = range(6)


class Camera(NamedTuple):
    """R (3, 3), t (3,) mm, f (2,) px, c (2,) px, as in Human3.6M's files."""

    rotation: Floats
    position: Floats
    focal: Floats
    principal: Floats


class Take(NamedTuple):
    """One subject doing one action, filmed by one camera."""

    subject: int
    action: int
    take: int
    camera: int

    @property
    def name(self) -> str:
        return "s_{:02d}_act_{:02d}_subact_{:02d}_ca_{:02d}".format(*self)


def make_synthetic_3d(root: Path, train: int, test: int, mpii: int, seed: int) -> bool:
    """Write the data set to `root`: `train` and `test` time steps per take, `mpii` pictures without depth labels.

    root/h36m and root/mpii have `annotations` and `images` each. Returns False, and writes nothing, if `root` already
    contains the same data set; InputError if it contains something else.
    """
    for name, value, least in (("train", train, 1), ("test", test, 1), ("mpii", mpii, 1), ("seed", seed, 0)):
        if value < least:
            raise InputError(f"--{name}: expected {least} or more, got {value}")

    def write() -> None:
        write_h36m(root / "h36m", "train", train, seed)
        write_h36m(root / "h36m", "test", test, seed)
        write_mpii(root / "mpii", mpii, seed)

    arguments = {"train": train, "test": test, "mpii": mpii, "seed": seed, "drawing_version_3d": DRAWING_VERSION}
    return make_once(root, arguments, write)


def write_h36m(root: Path, split: str, moments: int, seed: int, pictures: bool = True) -> Path:
    """Write a split's takes with `moments` time steps: pictures and the annotation file, whose path is returned.

    pictures: False only writes annotations, for lifting; boxes then enclose the joints.
    """
    takes = [Take(*numbers) for numbers in itertools.product(SUBJECTS[split], ACTIVITIES, TAKES, range(1, 5))]
    draw = functools.partial(_write_take, root / "images", moments, seed, pictures)
    tree: dict[str, list[Any]] = {"images": [], "annotations": []}
    with mapping(len(takes) if pictures else 1) as map_all:
        for images, annotations in tqdm(map_all(draw, takes), total=len(takes), desc=f"drawing {split}", unit="take"):
            for image, annotation in zip(images, annotations, strict=True):
                number = len(tree["images"])
                tree["images"].append({"id": number, **image})
                tree["annotations"].append({"id": number, "image_id": number, **annotation})
    return _write_json(root / "annotations" / FILES[split], tree)


def write_mpii(root: Path, count: int, seed: int) -> Path:
    """Write pictures of many people, each seen once by one camera, and MPII's labels; return the path of the labels."""
    (root / "images").mkdir(parents=True, exist_ok=True)
    draw = functools.partial(_write_mpii_picture, root / "images", seed)
    images, annotations = [], []
    with mapping(count) as map_all:
        drawn = map_all(draw, range(1, count + 1))
        for image, annotation in tqdm(drawn, total=count, desc="drawing mpii", unit="picture"):
            images.append(image)
            annotations.append(annotation)
    category = {
        "id": 1,
        "name": "person",
        "supercategory": "person",
        "keypoints": list(MPII.names),
        "skeleton": [[i + 1, j + 1] for i, j in MPII.bones],
    }
    tree = {"images": images, "annotations": annotations, "categories": [category]}
    return _write_json(root / "annotations" / MPII_FILE, tree)


def random_camera(rng: np.random.Generator, angle: float) -> Camera:
    """Draw a camera that faces the middle of the floor from this direction (radians)."""
    distance, height = rng.uniform(*CAMERA_DISTANCE_MM), rng.uniform(*CAMERA_HEIGHT_MM)
    position = np.array([distance * np.cos(angle), distance * np.sin(angle), height])
    forwards = _LOOKED_AT - position
    forwards /= np.linalg.norm(forwards)
    right = np.cross(forwards, (0.0, 0.0, 1.0))
    right /= np.linalg.norm(right)
    rotation = np.stack([right, np.cross(forwards, right), forwards])
    focal = rng.uniform(*FOCAL_PX) * rng.uniform(0.997, 1.003, size=2)
    return Camera(rotation, position, focal, (SIDE - 1) / 2 + rng.uniform(-3, 3, size=2))


def take_camera(seed: int, number: int) -> Camera:
    """Return camera 1 … 4 of all takes."""
    rng = np.random.default_rng((_OF_CAMERAS, seed, number))
    return random_camera(rng, np.pi / 2 * number + rng.uniform(-0.3, 0.3))


def moment(seed: int, take: Take, number: int) -> Body:
    """Return the body of a subject at a time step: the same for all cameras."""
    subject = np.random.default_rng((_OF_SUBJECT, seed, take.subject))
    build = sample_build(subject, subject.uniform(*HEIGHT_MM))
    rng = np.random.default_rng((_OF_MOMENT, seed, take.subject, take.action, take.take, number))
    return sample_activity(rng, take.action, build)


def _write_take(
    folder: Path, moments: int, seed: int, pictures: bool, take: Take
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the entries of a take in the file's two lists, without ids."""
    camera = take_camera(seed, take.camera)
    if pictures:
        (folder / take.name).mkdir(parents=True, exist_ok=True)
    images, annotations = [], []
    for number in range(1, moments + 1):
        body = moment(seed, take, number)
        world = np.round(h36m_joints(body)[:17], 2)
        name = f"{take.name}/{take.name}_{number:06d}.jpg"
        if pictures:
            clothes = _random_clothes(np.random.default_rng((_OF_CLOTHES, seed, *take[:3], number)))
            picture, box = _draw(np.random.default_rng((_OF_PICTURE, seed, *take, number)), body, camera, clothes)
            write_jpeg(folder / name, picture)
        else:
            box = _box_of(project(world_to_camera(world, *camera[:2]), *camera[2:]))
        images.append({"file_name": name, "width": SIDE, "height": SIDE})
        parameters = {key: value.tolist() for key, value in zip("Rtfc", camera, strict=True)}
        annotations.append({"bbox": box, "cam_param": parameters, "keypoints_world": world.tolist()})
    return images, annotations


def _write_mpii_picture(folder: Path, seed: int, image_id: int) -> tuple[dict[str, Any], dict[str, Any]]:
    rng = np.random.default_rng((_OF_MPII, seed, image_id))
    camera = random_camera(rng, rng.uniform(0, 2 * np.pi))
    action = list(ACTIVITIES)[rng.integers(len(ACTIVITIES))]
    body = sample_activity(rng, action, sample_build(rng, rng.uniform(*HEIGHT_MM)))
    picture, box = _draw(rng, body, camera, _random_clothes(rng))
    name = f"{image_id:09d}.jpg"
    write_jpeg(folder / name, picture)
    order = [MPII_OF_H36M.index(joint) for joint in range(len(MPII))]
    joints = project(world_to_camera(h36m_joints(body), *camera[:2]), *camera[2:])[order]
    annotation = {
        "id": image_id,
        "image_id": image_id,
        "category_id": 1,
        "iscrowd": 0,
        "bbox": box,
        "num_keypoints": len(joints),
        "keypoints": [value for x, y in joints for value in (round(float(x), 2), round(float(y), 2), 2)],
    }
    return {"id": image_id, "file_name": name, "width": SIDE, "height": SIDE}, annotation


def _random_clothes(rng: np.random.Generator) -> Clothes:
    """Draw clothes that show joints and sides: each limb and its end in its own colour, and a cap.

    An open jacket distinguishes the chest from the back. Shirt, seat of the trousers, skin and all shades vary.
    """
    pairs = np.array([SLEEVES, LEGS, GLOVES, BOOTS]) + rng.uniform(-15, 15, size=(4, 2, 3))
    sleeves, legs, gloves, boots = ((left, right) for left, right in pairs)
    return replace(
        sample_clothes(rng),
        front=random_colour(rng),
        sleeves=sleeves,
        legs=legs,
        gloves=gloves,
        boots=boots,
        hair=np.array(CAP) + rng.uniform(-15, 15, size=3),
        long_sleeves=True,
        long_trousers=True,
        long_hair=False,
    )


def _wall_base(camera: Camera) -> Floats:
    """Return the point where wall and floor meet in the middle of the picture: (1, 3) mm in the world."""
    ahead = camera.rotation[2, :2] / np.linalg.norm(camera.rotation[2, :2])
    return np.array([[*(ahead * WALL_MM), 0.0]])


def _draw(rng: np.random.Generator, body: Body, camera: Camera, clothes: Clothes) -> tuple[Bytes, list[float]]:
    """Return the picture, and the box [x, y, width, height] of the person's pixels."""
    mat, wall = (project(world_to_camera(points, *camera[:2]), *camera[2:]) for points in (_MAT, _wall_base(camera)))
    canvas = Canvas(studio(rng, SIDE, float(wall[0, 1]), mat), np.zeros((SIDE, SIDE), np.uint8))
    light = rng.uniform(-1, 1, size=2) * (0.9, 0.5) + (0.0, -0.4)
    # In pixels, the distance of the camera is its focal length.
    distance, seen = float(camera.focal.mean()), seen_by_camera(body, *camera)
    PersonPainter(canvas, seen, clothes, light, first_owner=1, distance=distance, in_water=True).draw()
    mine = (canvas.owner >= 1) & (canvas.owner <= len(PARTS))
    columns, rows = np.flatnonzero(mine.any(axis=0)), np.flatnonzero(mine.any(axis=1))
    box = [columns[0], rows[0], columns[-1] - columns[0] + 1, rows[-1] - rows[0] + 1]
    return photograph(rng, canvas.image, BRIGHTNESS), [float(value) for value in box]


def _box_of(points: Floats) -> list[float]:
    low, high = points.min(axis=0), points.max(axis=0)
    return [round(float(value), 2) for value in (*low, *(high - low))]


def _write_json(path: Path, tree: Mapping[str, Sequence[Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(tree))
    return path
