import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
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

BOX = [5, 5, 50, 80]
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
        np.testing.assert_allclose(person.coco_joint_scores, expected.joint_scores[row], atol=1e-5)
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
    assert picture.persons[0].joint_scores is picture.persons[0].confidence is None
    (entry,) = json.loads(json.dumps(coco_entries([picture], [7])))
    assert entry["std"] is entry["confidence"] is None
    assert entry["keypoints"][2::3] == [1] * 17  # COCO wants a number


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


@pytest.mark.parametrize(
    ("image", "message"),
    [
        ("nowhere.jpg", r"nowhere\.jpg: cannot read the picture"),
        (Path("nowhere.gif"), r"nowhere\.gif: cannot read the picture"),
        ("nowhere.mp4", r"nowhere\.mp4: no such video"),
        (np.zeros((9, 9, 3)), r"picture 0: expected RGB, .* got shape \(9, 9, 3\) of float64"),
        (np.zeros((9, 9, 3), np.float32), r"of float32"),
    ],
)
def test_one_input_that_is_no_picture_is_an_error(checkpoint: Callable[..., Path], image: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Predictor(checkpoint(), "cpu").predict(image, "whole")


def test_one_unreadable_file_is_an_error(checkpoint: Callable[..., Path], tmp_path: Path) -> None:
    predictor = Predictor(checkpoint(), "cpu")
    for name in ("text.jpg", "text.gif", "text.webp"):
        (tmp_path / name).write_text("no picture")
        with pytest.raises(InputError, match=f"{name}: cannot be decoded"):
            predictor.predict(tmp_path / name, "whole")


def test_of_several_inputs_each_that_is_left_out_has_a_line_in_the_log(
    checkpoint: Callable[..., Path], synthetic: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    good = sorted((synthetic / "val").iterdir())[0]
    (tmp_path / "text.jpg").write_text("no picture")
    images = [good, "nowhere.jpg", np.zeros((9, 9, 3)), tmp_path / "text.jpg"]
    pictures = Predictor(checkpoint(), "cpu").predict(images, "whole")
    assert [len(picture.persons) for picture in pictures] == [1, 0, 0, 0]
    lines = [record.message for record in caplog.records if record.message.startswith("left out: ")]
    assert [name in line for name, line in zip(("nowhere.jpg", "picture 2", "text.jpg"), lines, strict=True)] == [
        True
    ] * 3


def test_a_folder_names_in_the_log_what_it_skips(
    checkpoint: Callable[..., Path], case_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    Predictor(checkpoint(), "cpu").predict(case_folder / "folder_of_everything", "whole")
    lines = [record.message for record in caplog.records if record.message.startswith("left out: ")]
    assert len(lines) == 2 and "clip.mp4: " in lines[0] and "sub: " in lines[1]


def test_files_of_boxes_are_read_in_python(checkpoint: Callable[..., Path], synthetic: Path, tmp_path: Path) -> None:
    predictor, file = Predictor(checkpoint(), "cpu"), sorted((synthetic / "val").iterdir())[0]
    np.save(tmp_path / "box.npy", [BOX])
    (tmp_path / "box.json").write_text(json.dumps({file.name: [BOX]}))
    results = [{"image_id": int(file.stem), "category_id": 1, "bbox": BOX}]
    for boxes in (tmp_path / "box.npy", str(tmp_path / "box.json"), results, {"": []} | {file.name: BOX}):
        (picture,) = predictor.predict(file, boxes)
        assert [person.bbox_xywh.tolist() for person in picture.persons] == [[5, 5, 49, 79]]


@pytest.mark.parametrize(
    ("min_score", "message"),
    [
        (1.5, "expected a number from 0 to 1, got 1.5"),
        (-0.1, "expected a number from 0 to 1"),
        (float("nan"), "expected a number from 0 to 1"),
        ("high", "expected a number from 0 to 1, got 'high'"),
        ({"left_wrist": 2}, "expected a number from 0 to 1, got 2"),
        ({"left_hand": 0.5}, "there is no joint 'left_hand'; the joints are nose, "),
    ],
)
def test_a_cut_off_that_is_none_is_refused(checkpoint: Callable[..., Path], min_score: Any, message: str) -> None:
    with pytest.raises(InputError, match=f"^min_score: {message}"):
        Predictor(checkpoint(), "cpu", min_score=min_score)


def test_a_cut_off_of_scores_that_the_model_lacks_is_refused(checkpoint: Callable[..., Path]) -> None:
    path = checkpoint("loss.name=l1", recalibration=Recalibration("scale", (0.1,)))
    with pytest.raises(InputError, match="has no scores to cut at"):
        Predictor(path, "cpu", min_score=0.5)
    Predictor(path, "cpu", min_score=0)


def test_each_joint_may_have_its_own_cut_off(checkpoint: Callable[..., Path], synthetic: Path) -> None:
    file = sorted((synthetic / "val").iterdir())[0]
    path = checkpoint()
    (person,) = Predictor(path, "cpu").predict(file, "whole")[0].persons
    assert person.shown.all()
    middle = float(np.median(person.joint_scores))
    cases = ((middle, [middle] * 17), ({"*": 1, "nose": 0}, [0] + [1] * 16), ({"nose": 1}, [1] + [0] * 16))
    for min_score, least in cases:
        (person,) = Predictor(path, "cpu", min_score=min_score).predict(file, "whole")[0].persons
        np.testing.assert_array_equal(person.shown, person.joint_scores >= least)
        assert person.shown.any() and not person.shown.all()


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


ACCEPTED = r"expected 'whole', 'detector', a file, or boxes \(x, y, width, height"


@pytest.mark.parametrize(
    ("boxes", "message"),
    [
        ("nowhere", f"{ACCEPTED}.*, got 'nowhere'"),
        (3, f"{ACCEPTED}.*, got 3"),
        (np.array(3), ACCEPTED),
        (print, ACCEPTED),
        ([[1, 2, 3]], "expected numbers"),
        ([[0, 0, 1, np.nan]], "expected numbers"),
        ([None], "expected numbers"),
        ([[BOX, [1, 2]]], "expected numbers"),
        ([[[BOX]]], "expected numbers"),
        ([{"bbox": BOX}], r"no box has an image_id that is a whole number \(entry 0 has None\)"),
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


@pytest.mark.parametrize(("bit_depth", "level"), [("12", 128), ("null", 8)])
def test_pictures_of_16_bits_are_read_by_the_checkpoints_bit_depth(
    checkpoint: Callable[..., Path], tmp_path: Path, bit_depth: str, level: int
) -> None:
    deep = np.full((90, 90, 3), 128 << 4, np.uint16)
    cv2.imwrite(str(tmp_path / "deep.png"), deep)
    predictor = Predictor(checkpoint(f"data.bit_depth={bit_depth}"), "cpu")
    for images in (tmp_path, tmp_path / "deep.png", deep, [deep]):
        ((picture, _),) = predictor.stream(images, "whole")
        assert picture.pixels is not None and (picture.pixels == level).all()


@pytest.mark.parametrize("boxes", [[BOX], np.array([[*BOX, 0.7]]), torch.tensor([BOX]), BOX, [], np.zeros((0, 5))])
def test_a_detector_may_give_a_plain_array(checkpoint: Callable[..., Path], boxes: Any) -> None:
    predictor = Predictor(checkpoint(), "cpu", detector=lambda pixels: boxes)
    (picture,) = predictor.predict(np.zeros((90, 90, 3), np.uint8))
    assert [person.bbox_xywh.tolist() for person in picture.persons] == [[5, 5, 49, 79]] * (len(boxes) > 0)
    assert not picture.problems


def test_the_score_in_a_detectors_array_ranks(checkpoint: Callable[..., Path]) -> None:
    predictor = Predictor(checkpoint(), "cpu", detector=lambda pixels: [[*BOX, 0.9], [*BOX, 0.6]])
    first, second = predictor.predict(np.zeros((90, 90, 3), np.uint8))[0].persons
    assert first.score - second.score == pytest.approx(0.3)


@pytest.mark.parametrize(
    "boxes",
    [
        *(None, "nobody", [[1, 2, 3]], [[0, 0, 1, np.nan]], {"boxes": [BOX]}),
        torch.tensor([BOX], dtype=torch.float32, requires_grad=True),
        Boxes(np.full((1, 4), np.nan), np.ones(1)),
    ],
)
def test_a_detector_that_gives_something_else_is_told(checkpoint: Callable[..., Path], boxes: Any) -> None:
    predictor = Predictor(checkpoint(), "cpu", detector=lambda pixels: boxes)
    with pytest.raises(InputError, match=r"^detector: picture 0: expected numbers \(N, 4\)"):
        predictor.predict(np.zeros((90, 90, 3), np.uint8))


def test_a_detectors_scores_are_as_many_as_its_boxes(checkpoint: Callable[..., Path]) -> None:
    predictor = Predictor(checkpoint(), "cpu", detector=lambda pixels: Boxes(np.array([BOX], float), np.ones(3)))
    with pytest.raises(InputError, match=r"^detector: picture 0: 1 boxes with scores of shape \(3,\); give one a box"):
        predictor.predict(np.zeros((90, 90, 3), np.uint8))


def test_a_picture_that_results_do_not_have_is_named(
    checkpoint: Callable[..., Path], synthetic: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Results list pictures with persons only, and those of another data set look the same."""
    results = [{"image_id": 10**6, "category_id": 1, "bbox": BOX, "score": 0.5}]
    (picture,) = Predictor(checkpoint(), "cpu").predict(sorted((synthetic / "val").iterdir())[0], results)
    assert picture.persons == () and picture.problems[0].endswith("boxes has no box on it")
    assert "boxes has no box on it" in caplog.text


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
