"""Exported lifting networks give what `Lifter` gives, with nothing left to compute."""

import dataclasses
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from rlepose.config.config import Config
from rlepose.errors import InputError
from rlepose.evaluation.recalibration import Recalibration
from rlepose.export.choices import FormatName
from rlepose.export.description import LiftingDescription
from rlepose.export.formats import FORMATS
from rlepose.export.onnx_model import OnnxModel
from rlepose.inference import Lifter
from rlepose.jobs.export import export_checkpoint
from rlepose.models.lifting_net import lifting_network
from rlepose.pose.skeleton import COCO, H36M
from rlepose.runtime.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from rlepose.runtime.trained_lifter import lifting_criterion

FOCAL, PRINCIPAL = np.array([1147.0, 1146.0]), np.array([514.0, 507.0])
PIXELS = np.random.default_rng(0).uniform(300, 700, (5, 17, 2))


@pytest.fixture
def checkpoint(lifting_config: Callable[..., Config], tmp_path: Path) -> Callable[..., Path]:
    """checkpoint('loss.name=l1', …, recalibration=…) -> a file with random weights whose outputs vary."""

    def make(*overrides: str, recalibration: Recalibration | None = None) -> Path:
        config = lifting_config("name=lifting", *overrides)
        torch.manual_seed(0)
        model = lifting_network(config)
        for weight in model.parameters():
            if weight.ndim > 1:
                torch.nn.init.normal_(weight, std=0.2)
        model.normalize_by(torch.randn(100, 34) * 0.1)
        states = (model.state_dict(), lifting_criterion(config.loss).state_dict())
        path = tmp_path / "checkpoints" / "lifting.pt"
        save_checkpoint(path, Checkpoint(config, H36M, *states, {}, {}, {}, [], recalibration))
        return path

    return make


def exported(path: Path, name: FormatName = "torchscript") -> Path:
    loaded = load_checkpoint(path)
    out = path.with_name(f"lifting{FORMATS[name].suffix}")
    found = export_checkpoint(path, loaded.config, loaded, name, "float32", out)
    assert found.tolerable and found.apart.shape == (16, 17) and found.unit == "mm"
    return out


@pytest.mark.parametrize("name", FORMATS)
def test_a_file_gives_what_lifting_gives(name: FormatName, checkpoint: Callable[..., Path]) -> None:
    path = checkpoint()
    description, run = FORMATS[name].open(exported(path, name))
    joints, std = Lifter(path).predict(PIXELS, FOCAL, PRINCIPAL)
    for count in (1, 5):
        outputs = run(((PIXELS[:count] - PRINCIPAL) / FOCAL).astype(np.float32))
        assert tuple(outputs) == ("joints_mm", "std_mm")
        np.testing.assert_allclose(outputs["joints_mm"], joints[:count], rtol=1e-4, atol=0.02)
        np.testing.assert_allclose(outputs["std_mm"], std[:count], rtol=1e-4, atol=0.02)
    assert joints.std() > 100 and std[:, 1:].std() > 10
    assert isinstance(description, LiftingDescription)
    assert description.joints == H36M.names[:17] and description.root == "Pelvis"
    assert description.loss == "laplace" and description.flip_test
    assert all(description.joints[left][2:] == description.joints[right][2:] for left, right in description.flip_pairs)


def test_without_flip_test_the_file_does_not_average(checkpoint: Callable[..., Path]) -> None:
    path = checkpoint("eval.flip_test=false")
    description, run = FORMATS["torchscript"].open(exported(path))
    outputs = run(((PIXELS - PRINCIPAL) / FOCAL).astype(np.float32))
    joints, _ = Lifter(path).predict(PIXELS, FOCAL, PRINCIPAL)
    averaged, _ = Lifter(path, overrides=["eval.flip_test=true"]).predict(PIXELS, FOCAL, PRINCIPAL)
    np.testing.assert_allclose(outputs["joints_mm"], joints, rtol=1e-4, atol=0.02)
    assert np.abs(averaged - joints).max() > 10 and not description.flip_test


def test_a_loss_without_sigma_gives_joints_alone_until_it_is_recalibrated(checkpoint: Callable[..., Path]) -> None:
    points = ((PIXELS - PRINCIPAL) / FOCAL).astype(np.float32)
    assert tuple(FORMATS["torchscript"].open(exported(checkpoint("loss.name=l1"))).run(points)) == ("joints_mm",)
    path = checkpoint(
        "loss.name=l1", recalibration=Recalibration("joint_scale", tuple(np.linspace(0.01, 0.1, 16).tolist()))
    )
    outputs = FORMATS["torchscript"].open(exported(path)).run(points)
    _, std = Lifter(path).predict(PIXELS, FOCAL, PRINCIPAL)
    np.testing.assert_allclose(outputs["std_mm"], std, rtol=1e-4)
    assert np.ptp(std[0, 1:, 0]) > 100


def test_what_a_file_of_lifting_cannot_hold_is_refused(checkpoint: Callable[..., Path], tmp_path: Path) -> None:
    path = checkpoint()
    loaded = load_checkpoint(path)
    with pytest.raises(
        InputError, match=r"--precision float16: not supported for lifting models such as .*lifting\.pt"
    ):
        export_checkpoint(path, loaded.config, loaded, "onnx", "float16", tmp_path / "half.onnx")
    knots = dataclasses.replace(loaded, recalibration=Recalibration("isotonic", knots=((0.0, 0.1), (1.0, 0.9))))
    with pytest.raises(InputError, match="isotonic recalibration cannot be exported; recalibrate with scale"):
        export_checkpoint(path, loaded.config, knots, "torchscript", "float32", tmp_path / "knots.torchscript")


def test_without_labels_the_comparison_takes_random_poses_and_says_so(
    checkpoint: Callable[..., Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    exported(checkpoint(f"data.root={tmp_path / 'nowhere'}"))
    assert "no poses to compare on" in caplog.text


def test_the_example_in_the_docs_gives_what_lifting_gives_and_crops_are_not_lifted(
    checkpoint: Callable[..., Path],
) -> None:
    path = checkpoint()
    file = exported(path, "onnx")
    text = (Path(__file__).parents[2] / "docs" / "deployment.md").read_text(encoding="utf-8")
    example = re.findall(r"```python\n(.*?)```", text, re.DOTALL)[1]
    assert "exp/h36m_lifting_rle/export/best.onnx" in example
    values = {"keypoints": PIXELS, "focal": FOCAL, "principal": PRINCIPAL}
    exec(example.replace("exp/h36m_lifting_rle/export/best.onnx", str(file)), values)
    joints, std = Lifter(path).predict(PIXELS, FOCAL, PRINCIPAL)
    np.testing.assert_allclose(values["joints_mm"], joints, rtol=1e-4, atol=0.02)
    np.testing.assert_allclose(values["std_mm"], std, rtol=1e-4, atol=0.02)
    with pytest.raises(InputError, match="lifts 2-D poses and reads no crops"):
        OnnxModel(file, COCO, (64, 64))
