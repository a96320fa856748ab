"""The page about experiments in 3-D: numbers by action and joint, uncertainty in mm, and drawn skeletons."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from rlepose.config.config import Config
from rlepose.errors import InputError
from rlepose.jobs.train import train
from rlepose.reporting.in_space import MeasuredInSpace
from rlepose.reporting.measure import measure_all
from rlepose.reporting.measured import Uncertainty
from rlepose.reporting.report import write_report
from rlepose.runtime.distributed import Ranks
from rlepose.runtime.experiment import Experiment

ALONE = Ranks(0, 1, torch.device("cpu"))


def trained(config: Config) -> Path:
    train(config, ALONE)
    return Experiment.of(config).folder


def section(text: str, name: str) -> str:
    return text.partition(f"<h2>{name}</h2>")[2].partition("</section>")[0]


@pytest.fixture
def lifted(lifting_config: Callable[..., Config], tmp_path: Path) -> tuple[list[MeasuredInSpace], str]:
    """Two experiments that lift, with and without a sigma, and the page about them."""
    folders = [
        trained(lifting_config(f"name={loss}", f"loss.name={loss}", "eval.pictures=0")) for loss in ("laplace", "l1")
    ]
    measured = measure_all(folders, pictures=2)
    write_report(tmp_path / "report.html", measured)
    return measured, (tmp_path / "report.html").read_text(encoding="utf-8")


def test_lifting_experiments_stand_side_by_side(lifted: tuple[list[MeasuredInSpace], str]) -> None:
    measured, text = lifted
    for experiment in measured:
        last = [line for line in experiment.history if "MPJPE" in line][-1]
        assert experiment.metrics["MPJPE"] == pytest.approx(last["MPJPE"])
        assert experiment.errors.shape == (64, 17)
        assert experiment.errors.mean() == pytest.approx(experiment.metrics["MPJPE"])
        assert experiment.aligned_errors.mean() == pytest.approx(experiment.metrics["PA_MPJPE"])
        assert (experiment.depth_errors <= experiment.errors + 1e-9).all()
        assert f"<td>{experiment.metrics['MPJPE']:.1f}</td>" in section(text, "Summary")
    headings = re.findall("<h2>(.*?)</h2>", text)
    assert headings == [
        *("Summary", "Learning curves", "Actions", "Joints", "Errors", "Uncertainty", "Persons", "Settings")
    ]
    assert all(f"<td>{action}</td>" in section(text, "Actions") for action in ("Lying", "Walking", "all"))
    assert "<td>R_Wrist</td>" in section(text, "Joints") and "laplace depth" in section(text, "Joints")
    assert "<td>model.width</td><td>32</td><td>32</td>" in section(text, "Settings")


def test_uncertainty_in_mm_is_judged_where_there_is_one(lifted: tuple[list[MeasuredInSpace], str]) -> None:
    measured, text = lifted
    assert isinstance(measured[0].uncertainty, Uncertainty)
    assert {"NLL", "AURC"} <= measured[0].uncertainty.report["overall"].keys()
    shown = section(text, "Uncertainty")
    assert "density per cubic mm" in shown and "Learned density: laplace" in shown
    assert "l1: no reliability and densities: the loss l1 learns no sigma" in shown
    assert "NLL relative" not in shown


def test_the_best_and_the_worst_are_drawn_from_the_front_side_and_above(
    lifted: tuple[list[MeasuredInSpace], str],
) -> None:
    measured, text = lifted
    titles = ["Lowest error", "Highest error", "Lowest confidence", "Highest confidence among wrong poses"]
    assert [gallery.title for gallery in measured[0].galleries] == titles
    assert [gallery.title for gallery in measured[1].galleries] == titles[:2]  # by l1 none is surer than others
    best = measured[1].galleries[0]
    assert [picture.shape for picture in best.pictures] == [(720, 480, 3)] * 2
    assert not np.array_equal(*best.pictures)
    worst = measured[1].galleries[1]
    assert not any(np.array_equal(one, other) for one in best.pictures for other in worst.pictures)
    assert text.count("data:image/jpeg") == sum(len(g.pictures) for e in measured for g in e.galleries)


def test_pictures_in_space_and_lifted_poses_have_one_page(
    tiny_3d_config: Callable[..., Config], lifting_config: Callable[..., Config], tmp_path: Path
) -> None:
    folders = [
        trained(tiny_3d_config("name=crops", "loss={name: laplace}", "eval.pictures=0")),
        trained(lifting_config("name=lifting", "eval.pictures=0", "train.epochs=1")),
    ]
    measured = measure_all(folders, pictures=1)
    write_report(tmp_path / "report.html", measured)
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert measured[0].galleries[0].pictures[0].shape == (800, 480, 3)  # the person in the picture above both views
    assert "<td>crops of 32×32</td>" in text and "<td>2-D poses</td>" in text
    assert [len(e.density_joints) for e in measured] == [18, 16]


def test_two_and_three_dimensions_have_no_page_in_common(
    lifting_config: Callable[..., Config], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = trained(lifting_config("eval.pictures=0", "train.epochs=1"))
    other = tmp_path / "flat" / "checkpoints"
    other.mkdir(parents=True)
    tree = torch.load(folder / "checkpoints" / "best.pt", weights_only=True)
    tree["config"]["data"]["format"] = "coco"
    tree["config"]["model"] = {"name": "top_down"}
    torch.save(tree, other / "best.pt")
    with pytest.raises(InputError, match=r"flat is in 2-D, but .* in 3-D; .*so write one for each"):
        measure_all([folder, other.parent])
