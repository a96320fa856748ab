"""The drawn data set in space: same seed same bytes, humans' limits, and files that the readers take."""

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from rlepose.datasets.formats.h36m import persons_from_h36m
from rlepose.datasets.formats.mpii import persons_as_h36m
from rlepose.datasets.persons3d import Person3DTable, check_subjects
from rlepose.drawn_people.clothes import sample_clothes
from rlepose.drawn_people.painting import PARTS, Canvas, PersonPainter
from rlepose.drawn_people.people_in_space import (
    DRAWING_VERSION,
    SIDE,
    Take,
    make_synthetic_3d,
    moment,
    take_camera,
    write_h36m,
    write_mpii,
)
from rlepose.drawn_people.poses_in_space import ACTIVITIES, h36m_joints, seen_by_camera
from rlepose.errors import InputError
from rlepose.pose.skeleton import H36M

J = {name: index for index, name in enumerate(H36M.names)}
LIMBS = [("Hip", "Knee", "Ankle"), ("Shoulder", "Elbow", "Wrist")]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("synthetic_3d")
    write_h36m(folder / "h36m", "test", 1, seed=0)
    write_mpii(folder / "mpii", 6, seed=0)
    return folder


@pytest.fixture(scope="module")
def table(root: Path) -> Person3DTable:
    return persons_from_h36m(next((root / "h36m" / "annotations").iterdir()), root / "h36m" / "images")


@pytest.fixture(scope="module")
def bodies() -> np.ndarray:
    """Joints in the world of many moments: (subjects, actions, moments, 18, 3)."""
    return np.array(
        [
            [[h36m_joints(moment(0, Take(subject, action, 1, 1), n)) for n in range(40)] for action in ACTIVITIES]
            for subject in (1, 9)
        ]
    )


def test_same_seed_gives_the_same_bytes(root: Path, tmp_path: Path) -> None:
    write_h36m(tmp_path / "h36m", "test", 1, seed=0)
    write_mpii(tmp_path / "mpii", 6, seed=0)
    files = [path.relative_to(root) for path in root.rglob("*") if path.is_file()]
    assert len(files) == 2 * 4 * 2 * 4 + 6 + 2
    assert all((root / name).read_bytes() == (tmp_path / name).read_bytes() for name in files)


def test_another_seed_gives_other_labels(tmp_path: Path) -> None:
    first, second = (write_h36m(tmp_path / str(seed), "test", 1, seed, pictures=False) for seed in (0, 1))
    assert first.read_bytes() != second.read_bytes()


def test_every_action_of_every_test_subject_is_seen_by_four_cameras(table: Person3DTable) -> None:
    assert len(table) == 2 * 4 * 2 * 4
    assert set(table.subject) == {9, 11}
    assert set(table.action) == {"Walking", "Sitting", "Reaching", "Lying"}
    assert len(np.unique(table.focal, axis=0)) == 4


def test_people_to_test_on_are_not_in_the_training_file(table: Person3DTable, tmp_path: Path) -> None:
    train = persons_from_h36m(write_h36m(tmp_path, "train", 1, 0, pictures=False), tmp_path)
    check_subjects(train, table)


def test_pictures_have_the_listed_size_and_the_person_in_its_box(table: Person3DTable) -> None:
    with_depth = table.with_pictures("error")
    assert cv2.imread(str(with_depth.image_path(0))).shape == (SIDE, SIDE, 3)
    low, size = table.bbox_xywh[:, None, :2], table.bbox_xywh[:, None, 2:]
    inside = ((table.keypoints >= low - 4) & (table.keypoints <= low + size + 4)).all(axis=2)
    assert inside.mean() > 0.99


def test_cameras_see_the_same_body(table: Person3DTable) -> None:
    """Distances between joints do not depend on the camera."""
    joints = table.joints_mm()
    takes = [str(name).partition("_ca_")[0] for name in table.image_files]
    same = [index for index, take in enumerate(takes) if take == takes[0]]
    bones = [np.linalg.norm(joints[index][:, None] - joints[index][None], axis=2) for index in same]
    assert len(same) == 4
    for other in bones[1:]:
        np.testing.assert_allclose(other, bones[0], atol=0.05)


def test_bones_keep_their_length_whatever_a_person_does(bodies: np.ndarray) -> None:
    rigid = [(i, j) for i, j in H36M.bones if not {H36M.names[i], H36M.names[j]} & {"Nose", "Head"}]
    for person in bodies.reshape(2, -1, 18, 3):
        lengths = np.stack([np.linalg.norm(person[:, i] - person[:, j], axis=1) for i, j in rigid])
        assert (np.ptp(lengths, axis=1) < 1e-6).all()


def test_limbs_have_human_proportions_and_bend_within_limits(bodies: np.ndarray) -> None:
    people = bodies.reshape(-1, 18, 3)
    for side in "LR":
        for names in LIMBS:
            upper, middle, lower = (people[:, J[f"{side}_{name}"]] for name in names)
            a, b = middle - upper, lower - middle
            lengths = np.linalg.norm(a, axis=1), np.linalg.norm(b, axis=1)
            assert 0.8 < (lengths[1] / lengths[0]).mean() < 1.15
            bend = np.degrees(np.arccos(np.clip((a * b).sum(1) / lengths[0] / lengths[1], -1, 1)))
            assert 20 < bend.max() < 145
    height = np.linalg.norm(people[:, J["Head"]] - people[:, J["Neck"]], axis=1)
    assert (height > 150).all() and (height < 400).all()


def test_people_stand_on_the_floor_and_those_who_lie_are_low(bodies: np.ndarray) -> None:
    assert (bodies[..., 2].min(axis=-1) > 0).all() and (bodies[..., 2].min(axis=-1) < 250).all()
    heights = dict(zip(ACTIVITIES, bodies[..., J["Head"], 2].mean(axis=(0, 2)), strict=True))
    assert heights[18] < 700 < heights[9] < heights[14]


def test_the_painter_sees_joints_where_the_camera_projects_them(table: Person3DTable) -> None:
    take = Take(*(int(part) for part in str(table.image_files[5]).partition("/")[0].split("_")[1::2]))
    body = seen_by_camera(moment(0, take, 1), *take_camera(0, take.camera))
    ankles = [J["L_Ankle"], J["R_Ankle"]]
    np.testing.assert_allclose(body.joints[[15, 16], :2], table.keypoints[5, ankles], atol=0.02)
    nearer = table.depth[5, ankles[0]] < table.depth[5, ankles[1]]
    assert (body.joints[15, 2] < body.joints[16, 2]) == nearer


def test_four_colours_tell_the_limbs_apart(table: Person3DTable) -> None:
    """In the middle of a limb is its sleeve's or trouser leg's colour, whatever the depth; others hide one in four."""
    right_ones = []
    for person in range(0, len(table), 4):
        picture = cv2.imread(str(table.image_path(person))).astype(float)
        for ends, of_limb in (
            ("L_Elbow L_Wrist", lambda blue, green, red: blue > 1.3 * green),
            ("R_Elbow R_Wrist", lambda blue, green, red: green > 1.3 * blue),
            ("L_Knee L_Ankle", lambda blue, green, red: blue < 0.75 * red and blue < green),
            ("R_Knee R_Ankle", lambda blue, green, red: blue > 0.85 * red and blue > 0.9 * green),
        ):
            x, y = np.rint(table.keypoints[person, [J[end] for end in ends.split()]].mean(axis=0)).astype(int)
            right_ones.append(of_limb(*picture[y - 1 : y + 2, x - 1 : x + 2].mean(axis=(0, 1))))
    assert np.mean(right_ones) > 0.75


def test_gloves_and_boots_tell_the_ends_of_limbs(table: Person3DTable) -> None:
    right_ones = []
    for person in range(0, len(table), 4):
        take = Take(*(int(part) for part in str(table.image_files[person]).partition("/")[0].split("_")[1::2]))
        body = seen_by_camera(moment(0, take, 1), *take_camera(0, take.camera))
        picture = cv2.imread(str(table.image_path(person))).astype(float)
        for end, of_end in zip(
            (*body.hands, *body.toes),
            (
                lambda blue, green, red: green > 1.2 * max(blue, red),
                lambda blue, green, red: min(blue, green) > 1.3 * red,
                lambda blue, green, red: blue > 1.5 * green,
                lambda blue, green, red: max(blue, green, red) < 70,
            ),
            strict=True,
        ):
            x, y = np.rint(end[:2]).astype(int)
            right_ones.append(of_end(*picture[y - 1 : y + 2, x - 1 : x + 2].mean(axis=(0, 1))))
    assert np.mean(right_ones) > 0.7


def test_in_water_the_farther_shin_is_darker_and_bluer() -> None:
    camera, take = take_camera(0, 1), Take(1, 14, 1, 1)
    grey = dict.fromkeys(("trousers", "skin", "shoes"), np.full(3, 90.0))
    clothes = replace(sample_clothes(np.random.default_rng(0)), **grey)
    compared = 0
    for number in range(20):
        body = seen_by_camera(moment(0, take, number), *camera)
        canvas = Canvas(np.zeros((SIDE, SIDE, 3), np.uint8), np.zeros((SIDE, SIDE), np.uint8))
        PersonPainter(canvas, body, clothes, np.zeros(2), 1, 310.0, in_water=True).draw()
        left, right = (canvas.image[canvas.owner == 1 + PARTS.index(f"{side}_shin")] for side in ("left", "right"))
        depths = body.joints[[13, 14], 2] + body.joints[[15, 16], 2]
        if min(len(left), len(right)) < 100 or np.ptp(depths) < 0.3 * body.height:
            continue
        near, far = (left, right) if depths[0] < depths[1] else (right, left)
        (near_blue, _, near_red), (far_blue, _, far_red) = near.mean(axis=0), far.mean(axis=0)
        assert near_red > far_red and near_red / near_blue > far_red / far_blue
        compared += 1
    assert compared > 3


def test_mpiis_part_is_read_as_human36m_without_depth(root: Path) -> None:
    mpii = persons_as_h36m(root / "mpii" / "annotations" / "annot_mpii.json", root / "mpii" / "images")
    assert len(mpii) == 6 and not isinstance(mpii, Person3DTable)
    mpii.with_pictures("error")
    middle = (mpii.keypoints[:, J["L_Hip"]] + mpii.keypoints[:, J["R_Hip"]]) / 2
    np.testing.assert_allclose(mpii.keypoints[:, J["Pelvis"]], middle, atol=1)
    thorax = (mpii.keypoints[:, J["L_Shoulder"]] + mpii.keypoints[:, J["R_Shoulder"]]) / 2
    np.testing.assert_allclose(mpii.keypoints[:, J["Thorax"]], thorax, atol=1)


def test_making_it_again_writes_nothing(tmp_path: Path) -> None:
    stamp = tmp_path / "synthetic.json"
    arguments = {"train": 1, "test": 1, "mpii": 1, "seed": 0, "drawing_version_3d": DRAWING_VERSION}
    stamp.write_text(json.dumps(arguments, indent=2) + "\n")
    assert not make_synthetic_3d(tmp_path, 1, 1, 1, 0)
    assert list(tmp_path.iterdir()) == [stamp]


@pytest.mark.parametrize(("numbers", "option"), [((0, 1, 1, 0), "--train"), ((1, 1, 0, 0), "--mpii")])
def test_impossible_arguments_are_refused_by_name(tmp_path: Path, numbers: tuple[int, ...], option: str) -> None:
    with pytest.raises(InputError, match=option):
        make_synthetic_3d(tmp_path / "data", *numbers)
