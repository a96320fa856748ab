"""The page about experiments: what stands on it, what is left out and why, and that it needs nothing beside it."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from rlepose.config.config import Config
from rlepose.errors import InputError
from rlepose.jobs.train import train
from rlepose.models.pose_model import build_model
from rlepose.pose.skeleton import COCO
from rlepose.reporting.gallery import surest_wrong
from rlepose.reporting.measure import measure_all
from rlepose.reporting.measured import Uncertainty
from rlepose.reporting.page_parts import cell, page, table
from rlepose.reporting.report import write_report
from rlepose.runtime.checkpoint import Checkpoint, save_checkpoint
from rlepose.runtime.distributed import Ranks
from rlepose.runtime.experiment import Experiment
from tests.training.running import experiment_of

ALONE = Ranks(0, 1, torch.device("cpu"))


def trained(config: Config) -> Path:
    train(config, ALONE)
    return experiment_of(config).folder


def test_experiments_stand_side_by_side_on_a_page_that_needs_nothing_beside_it(
    tiny_config: Callable[..., Config], tmp_path: Path
) -> None:
    configs = [
        tiny_config("train.epochs=1", f"name={loss}", f"loss.name={loss}", f"train.select_by={select_by}")
        for loss, select_by in (("laplace", "gt/AR"), ("l1", "last"))
    ]
    measured = measure_all([trained(config) for config in configs], pictures=2)
    for experiment, config in zip(measured, configs, strict=True):
        last = [line for line in experiment.history if "gt/AP" in line][-1]
        assert experiment.metrics["gt/AP"] == pytest.approx(last["gt/AP"])
        assert experiment.mistakes.ap == experiment.metrics["gt/AP"]
        assert experiment.mistakes.counts.sum() == experiment.labels.sum()
        assert max(experiment.mistakes.corrected_ap) > experiment.mistakes.ap
        assert experiment.config == config
    assert isinstance(measured[0].uncertainty, Uncertainty)
    assert [gallery.title for gallery in measured[1].galleries] == ["Lowest OKS"]  # by l1 none is surer than others

    path = tmp_path / "new" / "report.html"
    write_report(path, measured)
    text = path.read_text(encoding="utf-8")
    assert "<script" not in text and "<link" not in text
    assert set(re.findall(r'(?:src|href)="([^"]{5})', text)) <= {"data:", '#s0">'} | {f'#s{n}">' for n in range(9)}
    assert text.count("data:image/jpeg") == sum(len(g.pictures) for e in measured for g in e.galleries)
    for name in ("laplace", "l1"):
        assert f"<td>{name}</td>" in text
    assert "That of laplace was selected on the same persons, so its metrics are slightly optimistic." in text
    assert "l1: no reliability and densities: the loss l1 learns no sigma" in text
    assert "Learned density: laplace" in text and "Learned density: l1" not in text


def test_nme_stands_beside_its_curve_for_those_that_have_a_reference(
    tiny_config: Callable[..., Config], tmp_path: Path
) -> None:
    l1 = ("train.epochs=1", "loss.name=l1")
    configs = [tiny_config(*l1, "name=eyes", "eval.nme_reference=[left_eye, right_eye]"), tiny_config(*l1, "name=none")]
    measured = measure_all([trained(config) for config in configs], pictures=1)
    write_report(tmp_path / "report.html", measured)
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    section = text.partition("<h2>Normalised error</h2>")[2].partition("</section>")[0]
    assert 'alt="Fraction of persons against NME"' in section
    assert "<td>the distance between left_eye and right_eye</td>" in section
    assert f"<td>{measured[0].metrics['gt/NME']:.4f}</td>" in section and section.count("<tr>") == 2
    assert "Not shown, because eval.nme_reference is not set: none." in section
    assert measured[0].nme.metrics()["NME"] == measured[0].metrics["gt/NME"]

    write_report(tmp_path / "without.html", measured[1:])
    assert "NME" not in (tmp_path / "without.html").read_text(encoding="utf-8")


def test_a_converted_checkpoint_has_a_page_without_epoch_and_learning_curves(
    tiny_config: Callable[..., Config], tmp_path: Path
) -> None:
    config = tiny_config("loss.name=l1")
    model = build_model(config.model, 17, predict_sigma=False, pretrained=False, dims=2)
    converted = Checkpoint(config, COCO, model.state_dict(), {}, {}, {}, {}, [])
    save_checkpoint(Experiment(tmp_path / "converted").best, converted)
    measured = measure_all([tmp_path / "converted"], pictures=0)
    write_report(tmp_path / "report.html", measured)
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert measured[0].epoch is None and "converted" in text and "chosen" not in text


def test_heatmaps_have_risk_and_coverage_but_no_reliability(tiny_config: Callable[..., Config], tmp_path: Path) -> None:
    folder = trained(tiny_config("train.epochs=1", "loss.name=heatmap_mse", "model.head.name=heatmap"))
    (measured,) = measure_all([folder], pictures=2)
    write_report(tmp_path / "report.html", [measured])
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "Risk and coverage" in text and "<h3>Reliability" not in text
    assert "the loss heatmap_mse learns no sigma" in text


def test_what_cannot_stand_side_by_side_is_refused_before_the_first_prediction(
    tiny_config: Callable[..., Config], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = trained(tiny_config("train.epochs=1"))
    tree = torch.load(folder / "checkpoints" / "best.pt", weights_only=True)
    tree["skeleton"]["names"][0] = "snout"
    other = folder.parent / "other"
    (other / "checkpoints").mkdir(parents=True)
    torch.save(tree, other / "checkpoints" / "best.pt")
    monkeypatch.setattr("rlepose.validation.pose_source.TableSource.predict", lambda *_: pytest.fail("predicted first"))
    with pytest.raises(InputError, match=r"other has the 17 joints snout, .*write one for each"):
        measure_all([folder, other])
    with pytest.raises(InputError, match=r"empty: not an experiment with a checkpoint, .*best\.pt does not exist"):
        measure_all([folder, folder.parent / "empty"])


def test_names_are_shown_and_never_obeyed() -> None:
    hostile = "<script>alert(1)</script>"
    assert hostile not in page(hostile, [(hostile, table([hostile], [[hostile]]))])


@pytest.mark.parametrize(
    ("value", "text"), [(None, "–"), (float("nan"), "–"), (0.5, "0.500"), (1090, "1,090"), ("a", "a")]
)
def test_cells_tell_numbers_from_what_is_not_defined(value: object, text: str) -> None:
    assert cell(value) == text


def test_the_surest_of_the_wrong_are_wrong_and_sure() -> None:
    confidence, oks = np.array([0.9, 0.8, 0.7, 0.6]), np.array([0.9, 0.1, 0.5, 0.2])
    assert surest_wrong(confidence, oks < 0.5, 3).tolist() == [1, 3]
