import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from rlepose.datasets.formats.coco import CocoFile
from rlepose.datasets.images import read_image
from rlepose.errors import InputError
from rlepose.evaluation.recalibration import Recalibration
from rlepose.inference import Predictor, coco_entries
from rlepose.inference.boxes import Boxes
from rlepose.jobs.validate import validation_of
from rlepose.runtime.checkpoint import load_checkpoint
from rlepose.runtime.distributed import Ranks
from rlepose.runtime.trained_model import open_checkpoint
from tests.predicting import criterion_of

ALONE = Ranks(0, 1, torch.device("cpu"))


def pictures_and_boxes(root: Path) -> tuple[list[Path], list[list[list[float]]]]:
    """The validation pictures and the boxes of their persons as the file has them."""
    coco = CocoFile(root / "annotations" / "person_keypoints_val.json")
    files = [root / "val" / image["file_name"] for image in coco.images]
    return files, [[a["bbox"] for a in coco.annotations if a["image_id"] == i["id"]] for i in coco.images]


@pytest.mark.parametrize(
    ("flip_test", "loss", "head"),
    [
        ("true", "rle", "regression"),
        ("false", "laplace", "regression"),
        ("true", "basic", "regression"),
        ("true", "laplace", "integral"),
        ("true", "heatmap_mse", "heatmap"),
    ],
)
def test_predicts_what_the_validation_does(
    checkpoint: Callable[..., Path], synthetic: Path, flip_test: str, loss: str, head: str
) -> None:
    path = checkpoint(
        f"eval.flip_test={flip_test}",
        f"loss.name={loss}",
        f"model.head.name={head}",
        recalibration=Recalibration("scale", (1.5,)),
    )
    loaded = load_checkpoint(path)
    model = open_checkpoint(path, loaded.config, loaded, ALONE.device)
    validation = validation_of(path, loaded.config, loaded, "gt", ALONE)
    expected = validation.source.predict(model)
    assert expected.sigma is not None
    files, boxes = pictures_and_boxes(synthetic)

    pictures = Predictor(path, "cpu").predict(files, boxes)

    persons = [person for picture in pictures for person in picture.persons]
    assert len(persons) == len(validation.table)
    spread = criterion_of(loaded).residual_spread(17).numpy()
    order = np.argsort(validation.table.image_index, kind="stable")
    for row, person in zip(order, persons, strict=True):
        np.testing.assert_allclose(person.bbox_xywh, validation.table.bbox_xywh[row])
        np.testing.assert_allclose(person.keypoints, expected.keypoints[row], atol=1e-3)
        np.testing.assert_allclose(person.std, expected.sigma[row] * spread, rtol=1e-4)
        np.testing.assert_allclose(person.joint_scores, expected.joint_scores[row], atol=1e-5)
    assert np.std([person.keypoints for person in persons], axis=0).max() > 1


def test_batches_do_not_change_the_poses(checkpoint: Callable[..., Path], synthetic: Path) -> None:
    path = checkpoint()
    files, boxes = pictures_and_boxes(synthetic)
    many = [Predictor(path, "cpu", [f"eval.batch_size={size}"]).predict(files, boxes) for size in (1, 64)]
    for one, other in zip(*many, strict=True):
        assert one.name == other.name
        for a, b in zip(one.persons, other.persons, strict=True):
            np.testing.assert_allclose(a.keypoints, b.keypoints, atol=1e-3)


def test_every_picture_is_decoded_once(
    checkpoint: Callable[..., Path], synthetic: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = []
    original = read_image
    monkeypatch.setattr(
        "rlepose.inference.media.read_image", lambda path, **options: (read.append(path), original(path, **options))[1]
    )
    Predictor(checkpoint(), "cpu", ["eval.batch_size=3"]).predict(synthetic / "val", "whole")
    assert sorted(read) == sorted((synthetic / "val").iterdir())


def test_an_array_is_predicted_as_its_file(checkpoint: Callable[..., Path], synthetic: Path) -> None:
    predictor = Predictor(checkpoint(), "cpu")
    file = sorted((synthetic / "val").iterdir())[0]
    box = [[10, 20, 100, 120]]
    (from_file,), (from_array,) = predictor.predict(file, box), predictor.predict(read_image(file), box)
    np.testing.assert_array_equal(from_file.persons[0].keypoints, from_array.persons[0].keypoints)


def test_the_density_integrates_to_one_and_has_the_stated_deviation(
    checkpoint: Callable[..., Path], synthetic: Path
) -> None:
    path = checkpoint("loss.name=rle", "loss.form=paper", recalibration=Recalibration("scale", (0.5,)))
    (picture,) = Predictor(path, "cpu").predict(sorted((synthetic / "val").iterdir())[0], "whole")
    person = picture.persons[0]
    x, y, log_prob = person.density.on_grid(3, count=301)
    cell = (x[1] - x[0]) * (y[1] - y[0])
    mass = np.exp(log_prob) * cell
    assert mass.sum() == pytest.approx(1, abs=0.01)
    mean = np.array([(mass.sum(0) * x).sum(), (mass.sum(1) * y).sum()])
    deviation = np.sqrt([(mass.sum(0) * (x - mean[0]) ** 2).sum(), (mass.sum(1) * (y - mean[1]) ** 2).sum()])
    np.testing.assert_allclose(deviation, person.std[3], rtol=0.03)


def test_a_model_without_sigma_has_none(checkpoint: Callable[..., Path], synthetic: Path) -> None:
    (picture,) = Predictor(checkpoint("loss.name=l1"), "cpu").predict(sorted((synthetic / "val").iterdir())[0], "whole")
    assert picture.persons[0].std is None
    assert picture.persons[0].joint_scores.tolist() == [1] * 17
    assert json.loads(json.dumps(coco_entries([picture], [7])))[0]["std"] is None


def test_a_bad_picture_and_a_bad_box_leave_the_rest(
    checkpoint: Callable[..., Path], synthetic: Path, tmp_path: Path
) -> None:
    good = sorted((synthetic / "val").iterdir())[0]
    (tmp_path / "text.jpg").write_text("no picture")
    predictor = Predictor(checkpoint(), "cpu")
    inside = [5, 5, 50, 80]
    bad, mixed, fine = predictor.predict(
        [tmp_path / "text.jpg", good, good], [[inside], [[9000, 0, 20, 20], inside], [inside]]
    )
    assert "cannot be decoded as a picture" in bad.problems[0] and not bad.persons
    assert "does not overlap the picture" in mixed.problems[0] and len(mixed.persons) == 1
    assert not fine.problems
    np.testing.assert_allclose(mixed.persons[0].keypoints, fine.persons[0].keypoints, atol=1e-3)


def test_a_detector_gives_boxes_and_its_scores_rank(checkpoint: Callable[..., Path], synthetic: Path) -> None:
    def two_persons(pixels: np.ndarray) -> Boxes:
        return Boxes(np.array([[5.0, 5, 50, 80], [5, 5, 50, 80]]), np.array([0.9, 0.6]))

    file = sorted((synthetic / "val").iterdir())[0]
    (picture,) = Predictor(checkpoint(), "cpu", detector=two_persons).predict(file)
    first, second = picture.persons
    assert first.score - second.score == pytest.approx(0.3)
    entries = coco_entries([picture], [3])
    assert [entry["image_id"] for entry in entries] == [3, 3]
    assert len(entries[0]["keypoints"]) == 51 and len(entries[0]["std"]) == 34


def test_a_sigma_of_zero_still_gives_a_density(checkpoint: Callable[..., Path], synthetic: Path) -> None:
    """Far below 0 float32's sigmoid is 0, which no scale can be."""
    path = checkpoint()
    tree = torch.load(path, weights_only=True)
    tree["model"]["head.scales.bias"].fill_(-200)
    torch.save(tree, path)
    (picture,) = Predictor(path, "cpu").predict(sorted((synthetic / "val").iterdir())[0], "whole")
    (person,) = picture.persons
    assert (person.std > 0).all()
    assert np.isfinite(person.density.log_prob(3, person.keypoints[3]))


ACCEPTED = r"expected 'whole', 'detector' or boxes \(x, y, width, height"
BOX = [5, 5, 50, 80]


@pytest.mark.parametrize(
    ("boxes", "message"),
    [
        ("nowhere", f"{ACCEPTED}.*, got 'nowhere'"),
        (3, f"{ACCEPTED}.*, got 3"),
        (np.array(3), ACCEPTED),
        (Path("boxes.json"), ACCEPTED),
        (print, ACCEPTED),
        ([[1, 2, 3]], "expected numbers"),
        ([[0, 0, 1, np.nan]], "expected numbers"),
        ([None], "expected numbers"),
        ([[BOX, [1, 2]]], "expected numbers"),
        ([[[BOX]]], "expected numbers"),
        ([{"bbox": BOX}], "expected numbers"),
        ({3: [BOX]}, "expected file names as the keys, got 3"),
    ],
)
def test_boxes_that_are_none_are_refused(
    checkpoint: Callable[..., Path], synthetic: Path, boxes: object, message: str
) -> None:
    with pytest.raises(InputError, match=f"^boxes: .*{message}"):
        Predictor(checkpoint(), "cpu").predict(sorted((synthetic / "val").iterdir())[0], boxes)


@pytest.mark.parametrize(
    ("argument", "value", "message"),
    [
        ("checkpoint", None, "expected the path of a file that training wrote, got None"),
        ("checkpoint", "x" * 5000, "no such checkpoint"),
        ("device", 3, "expected one of auto, cuda, cpu, got 3"),
        ("overrides", "eval.flip_test=false", "expected a list of 'section.key=value', got 'eval.flip_test=false'"),
        ("overrides", [None], "expected a list of 'section.key=value'"),
        ("overrides", None, "expected a list of 'section.key=value'"),
        ("detector", 3, "expected a function that maps RGB pixels .*, got 3"),
        ("max_pixels", "many", "expected a whole number above 0, got 'many'"),
        ("max_pixels", 0, "expected a whole number above 0, got 0"),
    ],
)
def test_arguments_of_another_kind_are_refused(
    checkpoint: Callable[..., Path], argument: str, value: object, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        Predictor(**{"checkpoint": checkpoint(), "device": "cpu", argument: value})


def test_files_that_are_no_checkpoints_are_refused(case_folder: Path) -> None:
    files = sorted((case_folder / "not_checkpoints").iterdir())
    assert files
    for file in files:
        with pytest.raises(InputError, match=f"{file.name}: not a (readable )?checkpoint") as refusal:
            Predictor(file, "cpu")
        assert "weights_only" not in str(refusal.value)


def test_a_detector_that_gives_something_else_is_told(checkpoint: Callable[..., Path]) -> None:
    predictor = Predictor(checkpoint(), "cpu", detector=lambda pixels: np.array([BOX]))
    with pytest.raises(InputError, match=r"^detector: picture 0: expected .*Boxes as result, got ndarray"):
        predictor.predict(np.zeros((90, 90, 3), np.uint8))


def test_boxes_for_other_numbers_of_pictures_are_refused(checkpoint: Callable[..., Path], synthetic: Path) -> None:
    predictor, files = Predictor(checkpoint(), "cpu"), sorted((synthetic / "val").iterdir())[:2]
    for count in (1, 3):
        with pytest.raises(InputError, match=f"{count} entries for 2 pictures"):
            predictor.predict(files, [[[0, 0, 9, 9]]] * count)


def test_boxes_of_one_picture_come_alone_or_in_a_list(checkpoint: Callable[..., Path], synthetic: Path) -> None:
    predictor, file = Predictor(checkpoint(), "cpu"), sorted((synthetic / "val").iterdir())[0]
    box, other = [5, 5, 60, 90], [9, 9, 50, 80]
    for images in (file, [file]):
        for boxes, persons in (([box], 1), ([box, other], 2), ([[box, other]], 2), (np.array([box]), 1)):
            (picture,) = predictor.predict(images, boxes)
            assert len(picture.persons) == persons
    assert predictor.predict(file, np.zeros((0, 4)))[0].persons == ()


def test_the_example_of_the_docs_runs(
    checkpoint: Callable[..., Path],
    synthetic: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = (Path(__file__).parents[2] / "docs" / "predict.md").read_text(encoding="utf-8")
    block = re.search(r"```python\n(.*?)```", text, re.DOTALL)
    assert block is not None
    folder = tmp_path / "exp" / "NAME" / "checkpoints"
    folder.mkdir(parents=True)
    checkpoint().rename(folder / "best.pt")
    for name, file in zip(("one.jpg", "two.jpg"), sorted((synthetic / "val").iterdir()), strict=False):
        (tmp_path / name).write_bytes(file.read_bytes())
    monkeypatch.chdir(tmp_path)
    exec(block[1], {})
    assert {"one.jpg", "two.jpg"} <= set(capsys.readouterr().out.split())
