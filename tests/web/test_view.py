"""What the page shows of a picture, without a page."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from rlepose.datasets.images import read_image
from rlepose.errors import InputError
from rlepose.inference import PersonPose, PicturePoses, Predictor
from rlepose.inference.boxes import Boxes
from rlepose.jobs.predict import predict_files
from rlepose.pose.skeleton import COCO, H36M
from rlepose.web import view
from rlepose.web.view import Seen

Checkpoint = Callable[..., Path]


@pytest.fixture
def picture(synthetic: Path) -> Path:
    return sorted((synthetic / "val").iterdir())[0]


def test_the_whole_picture_is_one_person(checkpoint: Checkpoint, picture: Path) -> None:
    seen = view.look_at(Predictor(checkpoint(), "cpu"), picture)
    (person,) = seen.poses.persons
    np.testing.assert_array_equal(seen.pixels, read_image(picture))
    np.testing.assert_allclose(person.bbox_xywh, [0, 0, *seen.poses.size_wh], atol=1)


def test_typed_boxes_are_persons_and_those_outside_are_told(checkpoint: Checkpoint, picture: Path) -> None:
    predictor = Predictor(checkpoint(), "cpu")
    seen = view.look_at(predictor, picture, "10 20 40 80; 30, 5, 50, 60 ;9000 0 5 5;")
    boxes = [person.bbox_xywh for person in seen.poses.persons]
    np.testing.assert_allclose(boxes, [[10, 20, 40, 80], [30, 5, 50, 60]], atol=1)
    (problem,) = seen.poses.problems
    assert problem.startswith(f"{picture.name}: the box [9000.0, 0.0, 5.0, 5.0] does not overlap the picture")


def test_the_detector_is_asked_for_whom_it_finds(checkpoint: Checkpoint, picture: Path) -> None:
    predictor = Predictor(checkpoint(), "cpu", detector=lambda _: Boxes(np.array([[10.0, 20, 40, 80]]), np.ones(1)))
    (person,) = view.look_at(predictor, picture, view.FOUND).poses.persons
    np.testing.assert_allclose(person.bbox_xywh, [10, 20, 40, 80], atol=1)


@pytest.mark.parametrize("boxes", ["abc", "1 2 3", "1 2 3 nan", "1 2 3 4; 5", "detector"])
def test_boxes_that_are_none_are_refused(checkpoint: Checkpoint, picture: Path, boxes: str) -> None:
    with pytest.raises(InputError, match=rf"^boxes: {picture.name}: expected numbers"):
        view.look_at(Predictor(checkpoint(), "cpu"), picture, boxes)


@pytest.mark.parametrize("boxes", ["", "9000 0 5 5"])
def test_a_picture_with_nobody_left_is_refused(checkpoint: Checkpoint, picture: Path, boxes: str) -> None:
    with pytest.raises(InputError, match=rf"^{picture.name}: "):
        view.look_at(Predictor(checkpoint(), "cpu"), picture, boxes)


@pytest.mark.parametrize("kind", ["text", "empty", "cut off", "gigantic"])
def test_what_is_no_picture_is_refused_by_its_name(
    checkpoint: Checkpoint, picture: Path, tmp_path: Path, kind: str
) -> None:
    file = tmp_path / "thing.jpg"
    jpeg = cv2.imencode(".jpg", read_image(picture))[1].tobytes()
    file.write_bytes({"text": b"no picture", "empty": b"", "cut off": jpeg[: len(jpeg) // 2], "gigantic": jpeg}[kind])
    predictor = Predictor(checkpoint(), "cpu", max_pixels=100 if kind == "gigantic" else 10**6)
    with pytest.raises(InputError, match=r"^thing\.jpg: ") as error:
        view.look_at(predictor, file)
    assert kind != "gigantic" or "more than 100 pixels" in str(error.value)


def test_the_table_has_each_joint(checkpoint: Checkpoint, picture: Path) -> None:
    (person,) = view.look_at(Predictor(checkpoint(), "cpu"), picture).poses.persons
    assert person.std is not None
    rows = view.joint_rows(person, COCO.names)
    assert {len(row) for row in rows} == {len(view.joint_columns(person))}
    expected = np.column_stack([person.keypoints, person.std, person.joint_scores])
    assert [row[0] for row in rows] == list(COCO.names)
    np.testing.assert_allclose([[float(value) for value in row[1:]] for row in rows], expected, atol=0.05)


def test_the_table_of_a_model_without_sigma_has_gaps(checkpoint: Checkpoint, picture: Path) -> None:
    (person,) = view.look_at(Predictor(checkpoint("loss.name=l1"), "cpu"), picture).poses.persons
    assert {tuple(row[3:5]) for row in view.joint_rows(person, COCO.names)} == {("–", "–")}


def test_a_click_on_a_drawn_joint_finds_it(checkpoint: Checkpoint, picture: Path) -> None:
    seen = view.look_at(Predictor(checkpoint(), "cpu"), picture, "10 20 40 80; 60 5 50 60")
    factor = view.enlargement(seen)
    assert factor > 1
    for who, person in enumerate(seen.poses.persons):
        for joint in (0, 9):
            assert view.nearest_joint(seen, (person.keypoints[joint] + 0.5) * factor - 0.5) == (who, joint)


@pytest.mark.parametrize(("side", "factor"), [(100, 8), (300, 2), (1000, 1)])
def test_the_pixel_of_a_drawn_joint_is_nearest_to_this_joint(side: int, factor: int) -> None:
    keypoints = 40 + np.array([[0.0, 0], [0.8, 0], [0, 0.8], [-0.8, 0], [0, -0.8]])
    person = PersonPose(np.array([0.0, 0, side, side]), keypoints, None, np.ones(5), 1.0, None)
    seen = Seen(np.zeros((side, side, 3), np.uint8), PicturePoses("black", (side, side), (person,), ()))
    assert view.enlargement(seen) == factor
    drawn = (keypoints + 0.5) * factor - 0.5  # pixel centres are at integers in both
    assert [view.nearest_joint(seen, point) for point in drawn] == [(0, joint) for joint in range(5)]


@pytest.mark.parametrize(("side", "factor"), [(100, 8), (300, 2), (1000, 1)])
def test_small_pictures_are_enlarged_to_be_drawn_into(side: int, factor: int) -> None:
    keypoints = np.full((17, 2), 40.0)
    person = PersonPose(np.array([0.0, 0, side, side]), keypoints, np.full((17, 2), 5.0), np.ones(17), 1.0, None)
    seen = Seen(np.zeros((side, side, 3), np.uint8), PicturePoses("black", (side, side), (person,), ()))
    drawn = view.drawn(seen, SimpleNamespace(skeleton=COCO))
    assert drawn.shape == (side * factor, side * factor, 3)
    assert drawn[40 * factor + factor // 2, 40 * factor + factor // 2].any()


@pytest.mark.parametrize(
    ("loss", "note", "shown"),
    [("rle", "The density that the flow has learned", True), ("laplace", "No flow", True), ("l1", "No density", False)],
)
def test_the_note_says_what_the_density_is(
    checkpoint: Checkpoint, picture: Path, loss: str, note: str, shown: bool
) -> None:
    seen = view.look_at(Predictor(checkpoint(f"loss.name={loss}"), "cpu"), picture)
    assert view.density_note(seen.poses.persons[0], loss).startswith(note)
    figure = view.density_figure(seen, 0, 9, "left_wrist")
    assert (figure is not None) == shown
    if figure is not None:
        (axes,) = figure.axes
        x, y = seen.poses.persons[0].keypoints[9]
        assert np.mean(axes.get_xlim()) == pytest.approx(x)
        assert np.mean(axes.get_ylim()) == pytest.approx(y)
        assert axes.yaxis_inverted()
        figure.canvas.draw()


def test_a_3d_pose_has_depth_in_the_table_and_is_shown_in_space() -> None:
    joints = len(H36M)
    keypoints = np.random.default_rng(0).uniform(20, 180, (joints, 2))
    depth = np.linspace(0, 300, joints)
    ones = np.ones((joints, 2))
    person = PersonPose(np.array([0.0, 0, 200, 200]), keypoints, ones, ones[:, 0], 1.0, None, depth, ones[:, 0])
    rows = view.joint_rows(person, H36M.names)
    assert len(view.joint_columns(person)) == len(rows[0]) == 8
    assert rows[-1][-2:] == ["300", "1"]
    assert view.density_note(person, "rle").startswith("A 3-D model")
    tiles, why_not = view.in_space(person, SimpleNamespace(skeleton=H36M))
    assert tiles is not None and not why_not
    assert tiles.shape[1] == 2 * tiles.shape[0]


def test_a_3d_pose_that_cannot_be_a_persons_is_no_error() -> None:
    depth = 5000.0 * (np.arange(len(H36M)) % 3)  # limbs of many metres
    keypoints, ones = np.random.default_rng(0).uniform(20, 180, (len(H36M), 2)), np.ones((len(H36M), 2))
    person = PersonPose(np.array([0.0, 0, 200, 200]), keypoints, ones, ones[:, 0], 1.0, None, depth, ones[:, 0])
    tiles, why_not = view.in_space(person, SimpleNamespace(skeleton=H36M))
    assert tiles is None
    assert why_not.startswith("This pose cannot be shown in 3-D: limbs: no distance")


def test_the_number_of_a_person_is_the_same_wherever_it_stands(
    checkpoint: Checkpoint, picture: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    written: list[str] = []
    monkeypatch.setattr("rlepose.jobs.pose_pictures.draw_label", lambda _, text, *__, **___: written.append(text))
    predictor = Predictor(checkpoint(), "cpu")
    seen = view.look_at(predictor, picture)
    view.drawn(seen, predictor)
    predict_files(predictor, picture, "whole", tmp_path / "out")
    (entry,) = json.loads((tmp_path / "out" / "results.json").read_text())
    text = f"confidence {np.mean(entry['keypoints'][2::3]):.2f}"
    assert [*written, *view.person_titles(seen)] == [text, text, f"1: {text}"]
    assert text == f"confidence {entry['confidence']:.2f}"
    scores = [float(row[5]) for row in view.joint_rows(seen.poses.persons[0], COCO.names)]
    np.testing.assert_allclose(scores, entry["keypoints"][2::3], atol=5e-4)


@pytest.mark.parametrize(("loss", "head"), [("l1", "regression"), ("l2", "regression"), ("l1", "integral")])
def test_a_model_without_scores_shows_none(
    checkpoint: Checkpoint, picture: Path, monkeypatch: pytest.MonkeyPatch, loss: str, head: str
) -> None:
    def no_label(*_: object, **__: object) -> None:
        raise AssertionError

    monkeypatch.setattr("rlepose.jobs.pose_pictures.draw_label", no_label)
    predictor = Predictor(checkpoint(f"loss.name={loss}", f"model.head.name={head}"), "cpu")
    seen = view.look_at(predictor, picture)
    view.drawn(seen, predictor)
    assert view.person_titles(seen) == ["person 1"]
    assert {row[5] for row in view.joint_rows(seen.poses.persons[0], COCO.names)} == {"–"}


def test_heatmaps_have_scores_without_sigma(checkpoint: Checkpoint, picture: Path) -> None:
    predictor = Predictor(checkpoint("loss.name=heatmap_mse", "model.head.name=heatmap"), "cpu")
    assert view.person_titles(view.look_at(predictor, picture))[0].startswith("1: confidence ")
