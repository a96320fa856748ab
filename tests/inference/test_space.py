"""Joints in space from pixels and depth: with a camera, with known limbs, and with neither."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from rlepose.config.config import Config
from rlepose.datasets.formats.h36m import persons_from_h36m
from rlepose.datasets.persons3d import Person3DTable
from rlepose.drawn_people.people_in_space import FILES
from rlepose.errors import InputError
from rlepose.evaluation.mpjpe import joint_errors
from rlepose.inference import PersonPose, PicturePoses, Predictor, absolute_mm, limbs_of, relative_mm, root_depth_mm
from rlepose.inference.media import InputPicture
from rlepose.jobs.predict import predict_files
from rlepose.pose.camera import project
from rlepose.pose.skeleton import H36M, H36M_ROOT
from rlepose.runtime.checkpoint_file import write_tree
from rlepose.validation.validations import build_validation
from tests.predicting import model_of
from tests.training.running import experiment_of, trainer_of


@pytest.fixture(scope="module")
def table(synthetic_3d: Path) -> Person3DTable:
    return persons_from_h36m(synthetic_3d / "h36m/annotations" / FILES["test"], synthetic_3d / "h36m/images")


def pose_of(table: Person3DTable, person: int) -> PersonPose:
    box, keypoints = table.bbox_xywh[person], table.keypoints[person].astype(float)
    return PersonPose(box, keypoints, None, np.ones(18), 1.0, None, depth=table.depth[person].astype(float))


def true_limbs(joints: np.ndarray) -> dict[tuple[str, str], float]:
    ends = {pair: [H36M.names.index(name) for name in pair] for pair in limbs_of()}
    return {pair: float(np.linalg.norm(joints[i] - joints[j])) for pair, (i, j) in ends.items()}


def test_known_limbs_tell_how_far_away_a_person_is(table: Person3DTable) -> None:
    for person, joints in enumerate(table.joints_mm()):
        found = root_depth_mm(pose_of(table, person), table.focal[person], table.principal[person], true_limbs(joints))
        assert found == pytest.approx(table.root_depth[person], rel=1e-3)


def test_joints_are_where_camera_and_depth_put_them(table: Person3DTable) -> None:
    pose, camera = pose_of(table, 5), (table.focal[5], table.principal[5])
    truth = table.joints_mm()[5]
    np.testing.assert_allclose(absolute_mm(pose, *camera, root_depth=float(table.root_depth[5])), truth, atol=0.1)
    np.testing.assert_allclose(absolute_mm(pose, *camera, limbs=true_limbs(truth)), truth, rtol=2e-3, atol=2)


def test_limbs_of_usual_proportions_come_near(table: Person3DTable) -> None:
    """People of the drawn set are 1.55 to 1.95 m tall; 1.70 m is taken."""
    ratios = [
        root_depth_mm(pose_of(table, i), table.focal[i], table.principal[i]) / table.root_depth[i]
        for i in range(len(table))
    ]
    assert min(ratios) > 0.8 and max(ratios) < 1.3


def test_without_a_camera_joints_are_relative_and_nearly_right(table: Person3DTable) -> None:
    errors = []
    for person, joints in enumerate(table.joints_mm()):
        found = relative_mm(pose_of(table, person), true_limbs(joints))
        assert (found[H36M_ROOT] == 0).all()
        errors.append(joint_errors(found, joints - joints[H36M_ROOT]).mean())
    assert np.mean(errors) < 60  # of the perspective, at 2.5 person heights


def test_a_person_far_away_is_seen_in_parallel(table: Person3DTable) -> None:
    joints = table.joints_mm()[0] - table.joints_mm()[0, H36M_ROOT] + [0, 0, 2e6]
    pixels = project(joints, np.full(2, 1e6), np.zeros(2))
    pose = PersonPose(np.zeros(4), pixels, None, np.ones(18), 1.0, None, depth=joints[:, 2] - joints[H36M_ROOT, 2])
    np.testing.assert_allclose(relative_mm(pose, true_limbs(joints)), joints - joints[H36M_ROOT], atol=1)


@pytest.mark.parametrize(
    ("limbs", "message"),
    [({}, "lengths above 0 mm"), ({("L_Hip", "L_Knee"): -1.0}, "lengths above 0"), ({("Hip", "Knee"): 4.0}, "'Hip'")],
)
def test_limbs_that_cannot_be_are_refused(table: Person3DTable, limbs: dict, message: str) -> None:
    with pytest.raises(InputError, match=f"limbs: .*{message}"):
        relative_mm(pose_of(table, 0), limbs)


def test_a_flat_pose_is_refused() -> None:
    flat = PersonPose(np.zeros(4), np.zeros((18, 2)), None, np.ones(18), 1.0, None)
    with pytest.raises(InputError, match="no depth; use a checkpoint of a 3-D model"):
        relative_mm(flat)


def test_a_pose_that_no_distance_fits_is_told_and_the_rest_goes_on(
    table: Person3DTable, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    good, frame = pose_of(table, 0), InputPicture("a.jpg", np.zeros((200, 200, 3), np.uint8))
    odd = dataclasses.replace(good, depth=np.where(np.arange(18) == H36M_ROOT, 0, 9000.0 * (np.arange(18) % 3)))
    pictures = [PicturePoses(name, (200, 200), (pose,), ()) for name, pose in (("a.jpg", odd), ("b.jpg", good))]
    predictor = SimpleNamespace(
        skeleton=H36M, stream=lambda *_: ((frame._replace(number=n), poses) for n, poses in enumerate(pictures))
    )
    (tmp_path / "in").mkdir()
    for name in ("a.jpg", "b.jpg"):
        (tmp_path / "in" / name).touch()
    assert predict_files(predictor, tmp_path / "in", "whole", tmp_path / "out") == 1
    assert "a.jpg: person 1 in 3-D: limbs: no distance" in caplog.text
    assert {p.name for p in (tmp_path / "out").iterdir()} == {"a.jpg", "b.jpg", "b_space.png", "results.json"}
    assert len(json.loads((tmp_path / "out" / "results.json").read_text())) == 2


def test_the_predictor_gives_what_the_validation_sees(
    tiny_3d_config: Callable[..., Config], table: Person3DTable, tmp_path: Path
) -> None:
    config = tiny_3d_config()
    trainer = trainer_of(config)
    for layer in (trainer.task.step.model.head.coordinates, trainer.task.step.model.head.scales):
        torch.nn.init.normal_(layer.weight, std=0.1)
    path = experiment_of(config).best
    write_tree(path, trainer.tree())
    predictor = Predictor(path, device="cpu")
    picture = str(table.image_path(3))
    box = table.bbox_xywh[[3]] + [0, 0, 1, 1]  # as in the file, before it was cut at the picture's border
    (person,) = predictor.predict(picture, box)[0].persons
    expected = build_validation(config, "gt", trainer.ranks).source.predict(model_of(trainer))
    assert person.depth is not None and person.depth_std is not None and person.std is not None
    np.testing.assert_allclose(person.keypoints, expected.keypoints[3, :, :2], atol=1e-3)
    np.testing.assert_allclose(person.depth, expected.keypoints[3, :, 2], atol=1e-2)
    spread = trainer.task.step.criterion.residual_spread(18).numpy()
    assert expected.sigma is not None
    np.testing.assert_allclose(person.depth_std, (expected.sigma[3] * spread)[:, 2], rtol=1e-3)

    assert predict_files(predictor, Path(picture), "whole", tmp_path / "out") == 0
    name = Path(picture).stem
    assert {p.name for p in (tmp_path / "out").iterdir()} == {f"{name}.jpg", f"{name}_space.png", "results.json"}
