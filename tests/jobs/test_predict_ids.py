"""The ids in results.json, with which pycocotools gives what validate.py gives."""

import contextlib
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rlepose.config.config import Config
from rlepose.datasets.formats.box_reader import read_boxes, read_ids
from rlepose.datasets.formats.coco_file import CocoFile
from rlepose.errors import InputError
from rlepose.inference import Predictor
from rlepose.jobs.predict import predict_files
from rlepose.jobs.validate import validate_checkpoint
from rlepose.losses import build_criterion
from rlepose.models.pose_model import build_model
from rlepose.runtime.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from rlepose.runtime.distributed import Ranks

ALONE = Ranks(0, 1, torch.device("cpu"))
OKS_SIGMA = 0.4  # so that poses of a network that has learned nothing are right now and then


def trained_on(annotations: Path, images: Path, tiny_config: Callable[..., Config], folder: Path) -> Path:
    """A checkpoint with random weights for the joints of a file, which is its validation file."""
    coco = CocoFile(annotations)
    config = tiny_config(
        "name=tiny",
        "loss.name=laplace",
        f"data={{root: {annotations.parent}, val_annotations: {annotations.name}, val_images: {images.absolute()}}}",
        f"data.oks_sigmas={[OKS_SIGMA] * coco.num_keypoints}",
        "data.num_keypoints=null",
    )
    torch.manual_seed(0)
    model, criterion = (
        build_model(config.model, coco.num_keypoints, True),
        build_criterion(config.loss, coco.num_keypoints),
    )
    for name, weight in model.head.named_parameters():
        if name.endswith("weight") and weight.ndim > 1:
            torch.nn.init.normal_(weight, std=0.3)
    path = folder / "tiny.pt"
    skeleton = coco.skeleton(config.data.oks_sigmas)
    save_checkpoint(path, Checkpoint(config, skeleton, model.state_dict(), criterion.state_dict(), {}, {}, {}, []))
    return path


def ap_of_pycocotools(annotations: Path, results: Path) -> float:
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    tree = json.loads(annotations.read_text())
    for number, annotation in enumerate(tree["annotations"], 1):
        annotation["id"] = number  # pycocotools takes a match with annotation 0 for none
        annotation["num_keypoints"] = sum(v > 0 for v in annotation["keypoints"][2::3])  # and wants this key
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = tree
        truth.createIndex()
        judge = COCOeval(truth, truth.loadRes(str(results)), "keypoints")
        (category,) = {entry["category_id"] for entry in json.loads(results.read_text())}
        judge.params.catIds = [category]
        judge.params.kpt_oks_sigmas = np.full(len(truth.cats[category]["keypoints"]), OKS_SIGMA)
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    return judge.stats[0]


def ap_of_validation(checkpoint: Path, out: Path) -> float:
    loaded = load_checkpoint(checkpoint)
    return validate_checkpoint(checkpoint, loaded.config, loaded, ["gt"], out, ALONE)["gt/AP"]


def with_ids_of_its_own(annotations: Path, target: Path) -> Path:
    """The file with other ids for pictures and the category, a person without labels, and a crowd."""
    tree = json.loads(annotations.read_text())
    renamed = {image["id"]: 1000 - 3 * number for number, image in enumerate(tree["images"])}
    for image in tree["images"]:
        image["id"] = renamed[image["id"]]
    tree["categories"][0]["id"] = 7
    for annotation in tree["annotations"]:
        annotation |= {"image_id": renamed[annotation["image_id"]], "category_id": 7}
    first, *_ = tree["annotations"]
    odd = ({"keypoints": [0] * len(first["keypoints"]), "num_keypoints": 0}, {"iscrowd": 1})
    tree["annotations"] += [first | {"id": 10**6 + n} | change for n, change in enumerate(odd)]
    target.write_text(json.dumps(tree))
    return target


def test_pycocotools_gives_the_ap_of_the_validation(
    tiny_config: Callable[..., Config], synthetic: Path, tmp_path: Path
) -> None:
    annotations = with_ids_of_its_own(synthetic / "annotations" / "person_keypoints_val.json", tmp_path / "ann.json")
    checkpoint = trained_on(annotations, synthetic / "val", tiny_config, tmp_path)
    assert predict_files(Predictor(checkpoint, "cpu"), synthetic / "val", annotations, tmp_path / "out") == 0
    expected = ap_of_validation(checkpoint, tmp_path / "validated")
    assert 0.05 < expected < 0.95
    assert ap_of_pycocotools(annotations, tmp_path / "out" / "results.json") == pytest.approx(expected, abs=1e-9)


def test_a_file_that_counts_its_own_ids_keeps_them(
    tiny_config: Callable[..., Config], case_folder: Path, tmp_path: Path
) -> None:
    """Names are no numbers, and the files' ids run against the order of names, or from 0."""
    folder = case_folder / "roboflow_ids_from_0"
    for number, name in enumerate(("boxes_other_order.json", "_annotations.coco.json")):
        here = tmp_path / str(number)
        here.mkdir()
        annotations = here / "ann.json"
        annotations.write_bytes((folder / name).read_bytes())
        checkpoint = trained_on(annotations, folder, tiny_config, here)
        predict_files(Predictor(checkpoint, "cpu"), folder, annotations, here / "out")
        expected = ap_of_validation(checkpoint, here / "validated")
        assert 0 < expected < 1
        assert ap_of_pycocotools(annotations, here / "out" / "results.json") == pytest.approx(expected, abs=1e-9)


def test_ids_come_from_a_file_where_boxes_do_not(
    checkpoint: Callable[..., Path], synthetic: Path, tmp_path: Path
) -> None:
    annotations = with_ids_of_its_own(synthetic / "annotations" / "person_keypoints_val.json", tmp_path / "ann.json")
    ids = read_ids(annotations)
    predict_files(Predictor(checkpoint(), "cpu"), synthetic / "val", "whole", tmp_path / "out", ids=ids)
    entries = json.loads((tmp_path / "out" / "results.json").read_text())
    expected = {image["file_name"]: image["id"] for image in json.loads(annotations.read_text())["images"]}
    assert {Path(entry["file_name"]).name: entry["image_id"] for entry in entries} == expected


def test_a_picture_that_the_ids_lack_is_named_and_not_listed(
    checkpoint: Callable[..., Path], synthetic: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    annotations = synthetic / "annotations" / "person_keypoints_val.json"
    tree = json.loads(annotations.read_text())
    lacking = tree["images"].pop()
    tree["annotations"] = []
    (tmp_path / "ids.json").write_text(json.dumps(tree))
    ids = read_ids(tmp_path / "ids.json")
    assert predict_files(Predictor(checkpoint(), "cpu"), synthetic / "val", "whole", tmp_path / "out", ids=ids) == 1
    assert f"{lacking['file_name']}: the file of ids does not have it; drawn, but not listed" in caplog.text


def results_of(annotations: Path, target: Path, **change: Any) -> Path:
    persons = json.loads(annotations.read_text())["annotations"]
    entries = [
        {"image_id": p["image_id"], "category_id": p["category_id"], "bbox": p["bbox"], "score": 0.5} | change
        for p in persons
    ]
    target.write_text(json.dumps(entries))
    return target


def test_coco_results_find_pictures_by_the_ids_of_a_coco_file(
    checkpoint: Callable[..., Path], synthetic: Path, tmp_path: Path
) -> None:
    annotations = with_ids_of_its_own(synthetic / "annotations" / "person_keypoints_val.json", tmp_path / "ann.json")
    results = results_of(annotations, tmp_path / "results.json")
    predictor = Predictor(checkpoint(), "cpu")
    predict_files(predictor, synthetic / "val", results, tmp_path / "a", ids=read_ids(annotations))
    predict_files(predictor, synthetic / "val", annotations, tmp_path / "b")
    listed = [json.loads((tmp_path / out / "results.json").read_text()) for out in "ab"]
    boxes = [{(entry["image_id"], entry["category_id"], *entry["box"]) for entry in entries} for entries in listed]
    assert boxes[0] == boxes[1]


def test_coco_results_find_pictures_whose_names_are_their_ids(
    checkpoint: Callable[..., Path], synthetic: Path, tmp_path: Path
) -> None:
    results = results_of(synthetic / "annotations" / "person_keypoints_val.json", tmp_path / "results.json")
    assert predict_files(Predictor(checkpoint(), "cpu"), synthetic / "val", results, tmp_path / "out") == 0


def test_coco_results_on_none_of_the_pictures_are_refused(case_folder: Path, tmp_path: Path, checkpoint: Any) -> None:
    """The pictures' names are COCO's ids, and the boxes count from 1."""
    folder = case_folder / "detections_category_0"
    boxes = tmp_path / "boxes.json"
    boxes.write_text((folder / "yolo_boxes.json").read_text().replace('"category_id": 0', '"category_id": 1'))
    predictor = Predictor(checkpoint(), "cpu")
    with pytest.raises(InputError, match=r"none of its 3 boxes is in .* the ids 1, 2, 3, .* with the id 183709"):
        predict_files(predictor, folder / "images", boxes, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert predict_files(predictor, folder / "images", boxes, tmp_path / "out", ids=read_ids(folder / "ann.json")) == 0
    entries = json.loads((tmp_path / "out" / "results.json").read_text())
    assert sorted(entry["image_id"] for entry in entries) == [1, 2, 3]


def test_coco_results_that_count_categories_from_0_are_refused(case_folder: Path) -> None:
    folder = case_folder / "detections_category_0"
    for ids in (None, read_ids(folder / "ann.json")):
        with pytest.raises(InputError, match=r"yolo_boxes\.json: no box is of category 1 .*: 3 × of category 0\)"):
            read_boxes(folder / "yolo_boxes.json", ids)


def test_coco_results_need_ids_where_names_are_no_numbers(
    checkpoint: Callable[..., Path], case_folder: Path, tmp_path: Path
) -> None:
    folder = case_folder / "roboflow_ids_from_0"
    results = results_of(folder / "_annotations.coco.json", tmp_path / "boxes.json")
    with pytest.raises(InputError, match=r"name pictures by image_id, and .*IMG_0048.* has none; .*\(--ids FILE\)"):
        predict_files(Predictor(checkpoint(), "cpu"), folder, results, tmp_path / "out")
