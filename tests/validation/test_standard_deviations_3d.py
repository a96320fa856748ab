"""In 3-D: a joint's standard deviation is that of its labels, as the training's own loss has them distributed."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pytest
import torch

from rlepose.config.config import Config
from rlepose.export.network import ExportedNetwork
from rlepose.inference import Predictor
from rlepose.jobs.to_export import describe
from rlepose.pose.codec import PoseOutput
from rlepose.pose.geometry import Floats
from rlepose.pose.pose_arrays import Poses
from rlepose.pose.skeleton import H36M_ROOT
from rlepose.runtime.checkpoint import load_checkpoint
from rlepose.runtime.checkpoint_file import write_tree
from rlepose.training.trainer import Trainer
from tests.predicting import model_of
from tests.training.running import experiment_of, trainer_of

HIP = 1
PERSON = 3


class Trained(NamedTuple):
    """true: the standard deviation (D,) of `joint`'s labels in units of sigma, in the coordinates that have labels."""

    trainer: Trainer
    poses: Poses
    joint: int
    true: Floats


def spread_of_labels(trainer: Trainer, joint: int) -> Floats:
    """(D,), where the loss of a training label at each point of a grid is the negative log of the label's density."""
    weight = trainer.task.dataset[0, 0]["weight"][joint]
    axes = [torch.linspace(-12, 12, 65) if labelled else torch.zeros(1) for labelled in weight > 0]
    points = torch.cartesian_prod(*axes)
    output = PoseOutput(torch.zeros(len(points), 1, 3), torch.ones(len(points), 1, 3))
    with torch.no_grad():
        losses = trainer.task.step.criterion(output, points[:, None], weight.expand(len(points), 1, 3))
    probability = (-losses).double().softmax(dim=0)[:, None]
    mean = (probability * points).sum(dim=0)
    return (probability * (points - mean).square()).sum(dim=0).sqrt().numpy()


@pytest.fixture(
    params=[("false", H36M_ROOT), ("false", HIP), ("true", H36M_ROOT)], ids=["root", "hip", "root with a depth label"]
)
def trained(request: pytest.FixtureRequest, tiny_3d_config: Callable[..., Config]) -> Trained:
    """A model with flows far from each other and from the identity, saved as the best of its experiment."""
    root_depth, joint = request.param
    flow = "{depth: 4, width: 8}"
    config = tiny_3d_config(f"loss={{name: rle, form: paper, root_depth: {root_depth}, flow: {flow}}}")
    trainer = trainer_of(config)
    for seed, (likelihood, std) in enumerate(zip(trainer.task.step.criterion.likelihoods, (0.1, 0.6), strict=True)):
        torch.manual_seed(seed)
        for parameter in likelihood.parameters():
            torch.nn.init.normal_(parameter, std=std)
    write_tree(experiment_of(config).best, trainer.tree())
    poses = trainer.task.validation.source.predict(model_of(trainer))
    in_space, in_plane = (likelihood.residual_spread()[0] for likelihood in trainer.task.step.criterion.likelihoods)
    assert ((in_space[:2] / in_plane - 1).abs() > 0.1).all()
    return Trained(trainer, poses, joint, spread_of_labels(trainer, joint))


def test_the_predictors(trained: Trained) -> None:
    trainer, poses, joint, true = trained
    predictor = Predictor(experiment_of(trainer.task.config).best, device="cpu")
    table = trainer.task.validation.table
    box = table.bbox_xywh[[PERSON]] + [0, 0, 1, 1]  # as in the file, before it was cut at the picture's border
    (person,) = predictor.predict(str(table.image_path(PERSON)), box)[0].persons
    scale = poses.sigma[PERSON, joint]
    np.testing.assert_allclose(person.std[joint], scale[:2] * true[:2], rtol=0.03)
    np.testing.assert_allclose(person.depth_std[joint], scale[2] * true[2], rtol=0.03)
    assert person.density is None


def test_that_of_pictures(trained: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer, poses, joint, true = trained
    drawn = []

    def draw(pose: int, poses: Poses, std: Floats, title: str) -> Floats:
        drawn.append(std[pose])
        return np.zeros((8, 8, 3), np.uint8)

    evaluator = trainer.task.validation.evaluator
    monkeypatch.setattr(evaluator, "draw", draw)
    evaluator.drawn(poses, model_of(trainer).spread, np.array([PERSON]), [""])
    np.testing.assert_allclose(drawn[0][joint], poses.sigma[PERSON, joint] * true, rtol=0.03)


def test_that_of_an_exported_file(trained: Trained) -> None:
    trainer, _, joint, true = trained
    checkpoint = load_checkpoint(experiment_of(trainer.task.config).best)
    network = ExportedNetwork(trainer.task.step.model)
    description = describe(trainer.task.config, checkpoint, model_of(trainer).spread, network, "float32")
    np.testing.assert_allclose(description.residual_spread[joint], true, rtol=0.03)
