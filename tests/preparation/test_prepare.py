"""A whole data set, from a server to a config's files; what is missing is told; what is there is left alone."""

import hashlib
import io
import logging
import shutil
import zipfile
from pathlib import Path

import pytest

from rlepose.config.reading import load_config
from rlepose.datasets.formats.coco_file import CocoFile
from rlepose.errors import InputError
from rlepose.preparation.prepare import prepare
from rlepose.preparation.sources import SOURCES, Archive, Source
from tests.drawn_datasets import draw_dataset
from tests.preparation.conftest import Server

CONFIGS = Path(__file__).parents[2] / "configs"
CONFIG_OF_SOURCE = {
    "coco": "coco_res50_rle",
    "coco_wholebody": "coco_wholebody_res50_rle",
    "coco_hands": "hand21_res50_rle",
    "halpe26": "halpe26_res50_rle",
    "crowdpose": "crowdpose_res50_rle",
    "ap10k": "ap10k_res50_rle",
    "lsp": "lsp_res50_rle",
}


@pytest.fixture
def served(server: Server, tmp_path: Path) -> Source:
    """Halpe as if it were all in one archive on the server."""
    draw_dataset(tmp_path / "drawn", "halpe26")
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for path in (tmp_path / "drawn").rglob("*.*"):
            archive.write(path, path.relative_to(tmp_path / "drawn"))
    shutil.rmtree(tmp_path / "drawn")
    server.files["halpe.zip"] = packed.getvalue()
    one = Archive(
        server.url("halpe.zip"), "annotations/halpe_val_v1.json", 1, hashlib.md5(packed.getvalue()).hexdigest()
    )
    return SOURCES["halpe26"]._replace(archives=(one,), manual=())


def test_a_data_set_is_fetched_unpacked_converted_and_checked(
    served: Source, server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    server.cuts = [5000]
    root = tmp_path / "halpe"
    prepare(served, root)
    assert sorted(path.name for path in root.iterdir()) == ["annotations", "images"]
    assert len(CocoFile(root / "annotations" / "halpe26_train.json").annotations) == 4
    assert "licence: " in caplog.text and "halpe26_val.json: 26 joints" in caplog.text
    asked = len(server.starts)
    prepare(served, root)
    assert len(server.starts) == asked == 2


def test_an_interrupted_unpacking_is_finished(served: Source, server: Server, tmp_path: Path) -> None:
    root = tmp_path / "halpe"
    prepare(served, root)
    (root / "halpe.zip").write_bytes(server.files["halpe.zip"])
    picture = next((root / "images" / "val2017").iterdir())
    picture.unlink()
    prepare(served, root)
    assert picture.exists() and not (root / "halpe.zip").exists()


def test_missing_pictures_are_told(served: Source, tmp_path: Path) -> None:
    prepare(served, tmp_path)
    next((tmp_path / "images" / "train2015").iterdir()).unlink()
    with pytest.raises(InputError, match=r"1 of 4 pictures are missing, .*; put them there"):
        prepare(served, tmp_path)


@pytest.mark.parametrize("name", [name for name, source in SOURCES.items() if source.manual])
def test_files_to_get_by_hand_are_told_before_anything_is_fetched(name: str, tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"(annotations/\w+|joints\.mat).* must be downloaded by hand: get the files from https?://"
    ):
        prepare(SOURCES[name], tmp_path)


@pytest.mark.parametrize("name", CONFIG_OF_SOURCE)
def test_a_config_expects_what_is_prepared(name: str) -> None:
    source, data = SOURCES[name], load_config(CONFIGS / f"{CONFIG_OF_SOURCE[name]}.yaml").data
    splits = ((data.train_annotations, data.train_images), (data.val_annotations, data.val_images))
    assert data.root == source.root and source.checked[:2] == splits and data.category == source.category
