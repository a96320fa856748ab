"""Orientation and depth of a data set's pictures, and that labels and pixels stay together under either."""

import logging
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from rlepose.config.config import Config
from rlepose.config.reading import config_from_dict, with_overrides
from rlepose.datasets.formats.coco import persons_from_annotations
from rlepose.datasets.formats.coco_file import CocoFile
from rlepose.datasets.images import read_image, read_labelled_image
from rlepose.datasets.of_config import labelled_table, read_as, training_dataset, with_bit_depth
from rlepose.datasets.options import DataConfig
from rlepose.datasets.persons import PersonTable
from rlepose.datasets.picture_survey import bit_depth, survey, warn_of_orientation
from rlepose.errors import InputError


def table_of(case: Path, data: DataConfig) -> PersonTable:
    return read_as(data, persons_from_annotations(CocoFile(case / "ann.json"), case / "images"))


def config_of(case: Path, tmp_path: Path, *overrides: str) -> Config:
    data = {"root": str(case), "train_annotations": "ann.json", "train_images": "images", "cache_dir": str(tmp_path)}
    data |= {"val_annotations": "ann.json", "val_images": "images"}
    return with_overrides(config_from_dict({"name": "odd", "data": data}), overrides)


@pytest.mark.parametrize("case", ["exif_6_quarter_turn", "exif_3_half_turn"])
def test_an_upright_label_lies_on_the_upright_picture(case_folder: Path, case: str) -> None:
    """The turned pictures are those of `base`, turned the other way in the file."""
    upright = table_of(case_folder / case, DataConfig(exif="apply"))
    base = table_of(case_folder / "base", DataConfig())
    for row in range(len(upright.image_ids)):
        turned, straight = (read_labelled_image(table, row).astype(int) for table in (upright, base))
        assert turned.shape == straight.shape and np.abs(turned - straight).mean() < 8


def test_a_size_that_fits_the_upright_picture_only_names_the_option(case_folder: Path) -> None:
    table = table_of(case_folder / "exif_6_quarter_turn", DataConfig())
    with pytest.raises(InputError, match=r"labelled upright, as its EXIF orientation turns it, set data\.exif=apply"):
        read_labelled_image(table, 0)


def test_a_size_that_fits_the_stored_picture_only_names_the_option(case_folder: Path, tmp_path: Path) -> None:
    case = tmp_path / "case"
    shutil.copytree(case_folder / "exif_6_quarter_turn", case)
    path = case / "ann.json"
    path.write_text(path.read_text().replace('"width": 160, "height": 107', '"width": 107, "height": 160'))
    table = table_of(case, DataConfig(exif="apply"))
    row = table.image_files.tolist().index("000000397133.jpg")
    with pytest.raises(InputError, match=r"labelled as stored, set data\.exif=ignore"):
        read_labelled_image(table, row)


@pytest.mark.parametrize(("exif", "whose"), [("ignore", "stored"), ("apply", "upright")])
def test_turned_pictures_are_reported_before_training(
    case_folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, exif: str, whose: str
) -> None:
    with caplog.at_level(logging.WARNING, logger="rlepose"):
        config = config_of(case_folder / "exif_3_half_turn", tmp_path, f"data.exif={exif}")
        with_bit_depth(config, labelled_table(config, "train")[0])
    assert "2 of 3 pictures carry an EXIF orientation" in caplog.text
    assert f"data.exif={exif}: their labels are taken to belong to the {whose} picture" in caplog.text


def test_upright_pictures_are_no_reason_to_warn(case_folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    table = table_of(case_folder / "base", DataConfig())
    found = survey(table)
    warn_of_orientation(table, found)
    assert found.turned == found.deep == [] and found.looked_at == 3 and not caplog.records


def test_12_bits_in_16_are_seen_in_full(case_folder: Path, tmp_path: Path) -> None:
    config = config_of(case_folder / "12bit_and_float", tmp_path, "data.on_bad_image=skip")
    config = with_bit_depth(config, labelled_table(config, "train")[0])
    assert config.data.bit_depth == 12
    table = training_dataset(config).table
    row = table.image_files.tolist().index("twelve_bit.png")
    stored = cv2.imread(str(table.picture_path(row)), cv2.IMREAD_UNCHANGED)
    assert stored.dtype == np.uint16
    assert read_labelled_image(table, row).max() == int(stored.max()) >> 4 > 100


@pytest.mark.parametrize(("largest", "bits"), [(900, 10), (1024, 12), (4095, 12), (16383, 14), (65535, 16)])
def test_the_depth_is_the_smallest_that_holds_the_largest_value(
    tmp_path: Path, case_folder: Path, largest: int, bits: int
) -> None:
    case = tmp_path / "case"
    shutil.copytree(case_folder / "base", case)
    for number, path in enumerate(sorted((case / "images").iterdir())):
        pixels = np.full((*cv2.imread(str(path)).shape[:2], 3), largest // (number + 1), np.uint16)
        path.write_bytes(cv2.imencode(".png", pixels)[1].tobytes())
    assert bit_depth(survey(table_of(case, DataConfig()))) == bits


def test_8_bit_pictures_have_no_depth_to_find(case_folder: Path) -> None:
    assert bit_depth(survey(table_of(case_folder / "base", DataConfig()))) is None


def test_a_picture_of_floats_is_refused_with_the_fix(case_folder: Path) -> None:
    with pytest.raises(InputError, match=r"float\.tiff: .*unusual type such as float; .*convert it to 8 or 16 bits"):
        read_image(case_folder / "12bit_and_float" / "images" / "float.tiff")


@pytest.mark.parametrize(("size", "field"), [((160, 107), "upright"), ((107, 160), "stored"), ((80, 50), "other_size")])
def test_the_survey_tells_whose_size_the_annotations_have(case_folder: Path, size: tuple[int, int], field: str) -> None:
    table = table_of(case_folder / "exif_6_quarter_turn", DataConfig())
    row = table.image_files.tolist().index("000000397133.jpg")
    table.image_size_wh[row] = size
    found = survey(table.select(table.image_index == row))
    assert found.looked_at == 1
    named = {name: len(getattr(found, name)) for name in ("upright", "stored", "other_size")}
    assert named == dict.fromkeys(named, 0) | {field: 1}


def test_a_size_that_is_right_both_ways_tells_nothing(case_folder: Path) -> None:
    found = survey(table_of(case_folder / "exif_3_half_turn", DataConfig()))
    assert len(found.turned) == 2 and not (found.stored or found.upright or found.other_size)
