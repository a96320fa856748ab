"""COCO keypoint files: which are read, which are refused and with what words, and the OKS constants of their joints."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rlepose.datasets.formats.coco import persons_from_annotations
from rlepose.datasets.formats.coco_file import CocoFile
from rlepose.errors import InputError
from rlepose.pose.skeleton import DEFAULT_OKS_SIGMA

WriteCoco = Callable[..., Path]


# --- what is read ---------------------------------------------------------------------------------------------------


def test_the_skeletons_bones_count_from_0(write_coco: WriteCoco) -> None:
    skeleton = CocoFile(write_coco()).skeleton()
    assert skeleton.names == ("nose", "left_hip", "right_hip") and skeleton.bones == ((0, 1), (0, 2))


@pytest.mark.parametrize("bones", [..., None, []], ids=["missing", "null", "empty"])
def test_a_skeleton_without_bones_is_fine(write_coco: WriteCoco, bones: Any) -> None:
    assert CocoFile(write_coco(category={"skeleton": bones})).skeleton().bones == ()


def test_the_wanted_category_is_taken(write_coco: WriteCoco) -> None:
    hand = {"id": 2, "name": "hand", "keypoints": ["thumb", "index"]}
    categories = [{"id": 1, "name": "person", "keypoints": ["nose"]}, hand, {"id": 3, "name": "chair"}]
    path = write_coco([{}, {"category_id": 2}], categories=categories)
    coco = CocoFile(path, "hand")
    assert coco.num_keypoints == 2 and [entry["id"] for entry in coco.annotations] == [2]


ANIMALS = [{"id": i, "name": name, "keypoints": ["nose", "tail"]} for i, name in ((1, "cat"), (2, "dog"), (5, "ox"))]


@pytest.mark.parametrize(("wanted", "ids", "name"), [("all", [1, 2, 3], "all"), (["ox", "cat"], [1, 3], ["ox", "cat"])])
def test_categories_that_share_their_joints_are_one(
    write_coco: WriteCoco, wanted: str | list[str], ids: list[int], name: str | list[str]
) -> None:
    coco = CocoFile(write_coco([{"category_id": i} for i in (1, 2, 5, 9)], categories=ANIMALS), wanted)
    assert [entry["id"] for entry in coco.annotations] == ids
    assert coco.category["name"] == name and coco.skeleton().names == ("nose", "tail")


@pytest.mark.parametrize(("wanted", "what"), [(["cat", "cow"], "no category 'cow'"), ([], "an empty list")])
def test_a_list_with_a_category_that_is_not_there_is_refused(
    write_coco: WriteCoco, wanted: list[str], what: str
) -> None:
    with pytest.raises(InputError, match=rf"data\.category: {what}.*; choose from cat, dog, ox, or all$"):
        CocoFile(write_coco(categories=ANIMALS), wanted)


# --- files that are not COCO's layout -------------------------------------------------------------------------------


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere\.json: the annotation file does not exist"):
        CocoFile(tmp_path / "nowhere.json")


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot read the annotation file"):
        CocoFile(tmp_path)


@pytest.mark.parametrize("content", [b'{"images": [', b"\xff\xfe\x00"])
def test_broken_json_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broken.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"broken\.json: the annotation file is not valid JSON"):
        CocoFile(path)


@pytest.mark.parametrize("wrong", [..., {"1": {}}, None], ids=["missing", "mapping", "null"])
@pytest.mark.parametrize("key", ["images", "annotations", "categories"])
def test_a_file_without_one_of_the_lists_is_refused(write_coco: WriteCoco, key: str, wrong: Any) -> None:
    with pytest.raises(InputError, match=f"no list '{key}'"):
        CocoFile(write_coco(**{key: wrong}))


def test_a_list_instead_of_a_tree_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    path.write_text("[]")
    with pytest.raises(InputError, match=r"results\.json: no list 'images'"):
        CocoFile(path)


@pytest.mark.parametrize("entry", [7, {"name": "without id"}, {"id": "x"}, {"id": None}], ids=repr)
@pytest.mark.parametrize("key", ["images", "annotations", "categories"])
def test_an_entry_without_a_whole_number_as_id_is_refused(write_coco: WriteCoco, key: str, entry: Any) -> None:
    with pytest.raises(InputError, match=rf"annotations\.json: {key}: entry 0 (is no object|has the id .*); number"):
        CocoFile(write_coco(**{key: [entry]}))


@pytest.mark.parametrize("key", ["images", "annotations", "categories"])
def test_an_id_that_stands_twice_is_refused(write_coco: WriteCoco, key: str) -> None:
    with pytest.raises(InputError, match=rf"annotations\.json: {key}: id 4 appears twice"):
        CocoFile(write_coco(**{key: [{"id": 1}, {"id": 4}, {"id": 4}]}))


@pytest.mark.parametrize("key", ["image_id", "category_id"])
@pytest.mark.parametrize("value", [[], {"a": 1}])
def test_an_id_that_is_no_number_is_refused(write_coco: WriteCoco, key: str, value: Any) -> None:
    with pytest.raises(InputError, match=f"annotation 1: {key}: expected a number, got"):
        CocoFile(write_coco([{key: value}]))


# --- categories and their joints ------------------------------------------------------------------------------------


@pytest.mark.parametrize("keypoints", [..., []])
def test_a_file_without_keypoints_is_refused(write_coco: WriteCoco, keypoints: Any) -> None:
    with pytest.raises(InputError, match="no category has a list 'keypoints'"):
        CocoFile(write_coco(category={"keypoints": keypoints}))


def test_several_categories_with_keypoints_ask_for_a_choice(write_coco: WriteCoco) -> None:
    two = [{"id": 1, "name": "person", "keypoints": ["nose"]}, {"id": 2, "name": "hand", "keypoints": ["thumb"]}]
    with pytest.raises(InputError, match=r"set data\.category to one of person, hand"):
        CocoFile(write_coco(categories=two))


def test_an_unknown_category_is_refused_with_those_that_exist(write_coco: WriteCoco) -> None:
    with pytest.raises(InputError, match=r"data\.category: no category 'horse' with keypoints; choose from person"):
        CocoFile(write_coco(), "horse")


@pytest.mark.parametrize("names", ["abc", {"nose": 1}, ["nose", 1, None]], ids=repr)
def test_joint_names_that_are_no_list_of_text_are_refused(write_coco: WriteCoco, names: Any) -> None:
    with pytest.raises(InputError, match="category 1: 'keypoints' must be a list of joint names"):
        CocoFile(write_coco(category={"keypoints": names}))


def test_joint_names_that_differ_only_in_spelling_are_refused(write_coco: WriteCoco) -> None:
    message = "category 1: the joint names left_hip, LeftHip differ only in spelling"
    with pytest.raises(InputError, match=message):
        CocoFile(write_coco(category={"keypoints": ["left_hip", "LeftHip", "right_hip"]}))


@pytest.mark.parametrize("bone", [[0, 3], [1, 4], [1], [1, 2, 3], [1, "2"], [1, 2.5], 1, None], ids=repr)
def test_a_bone_that_is_no_pair_of_the_joints_is_refused(write_coco: WriteCoco, bone: Any) -> None:
    message = f"category 1: skeleton entry {bone} is not a pair of joint numbers from 1 to 3"
    with pytest.raises(InputError, match=re.escape(message)):
        CocoFile(write_coco(category={"skeleton": [[1, 2], bone]}))


def test_a_skeleton_that_is_no_list_is_refused(write_coco: WriteCoco) -> None:
    with pytest.raises(InputError, match="category 1: skeleton entry 5 is not a pair of joint numbers"):
        CocoFile(write_coco(category={"skeleton": 5}))


# --- pictures -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "value", "problem"),
    [
        ("file_name", ..., "'file_name' is missing or no text (None)"),
        ("file_name", 3, "'file_name' is missing or no text (3)"),
        ("width", ..., "its size, nothing x 80, is not"),
        ("width", "w", "its size, w x 80, is not"),
        ("width", None, "its size, None x 80, is not"),
        ("width", -1, "its size, -1 x 80, is not"),
        ("height", ..., "its size, 100 x nothing, is not"),
        ("height", 80.5, "its size, 100 x 80.5, is not"),
    ],
)
def test_a_picture_without_a_name_and_a_size_is_refused_where_it_is_needed(
    write_coco: WriteCoco, key: str, value: Any, problem: str
) -> None:
    coco = CocoFile(write_coco(pictures=[{}, {key: value}]))
    assert len(persons_from_annotations(coco, "")) == 1
    with pytest.raises(InputError, match=rf"annotations\.json: image 2: {re.escape(problem)}"):
        persons_from_annotations(CocoFile(write_coco([{"image_id": 2}], pictures=[{}, {key: value}])), "")


def test_categories_of_one_name_are_taken_together(write_coco: WriteCoco) -> None:
    twice = [{"id": i, "name": "person", "keypoints": ["nose", "tail", "eye"]} for i in (1, 2)]
    for wanted in (None, "person"):
        coco = CocoFile(write_coco([{}, {"category_id": 2}], categories=twice), wanted)
        assert [entry["id"] for entry in coco.annotations] == [1, 2] and not coco.left_out


@pytest.mark.parametrize("name", ["../secret.png", "a/../../secret.png", "/etc/secret.png"])
def test_a_file_name_that_leads_out_of_the_folder_is_refused(write_coco: WriteCoco, name: str) -> None:
    with pytest.raises(InputError, match=re.escape(f"image 1: the file name {name!r} leads outside")):
        CocoFile(write_coco(pictures=[{"file_name": name}]))


# --- OKS constants --------------------------------------------------------------------------------------------------


def test_unknown_joints_are_warned_of(write_coco: WriteCoco, caplog: pytest.LogCaptureFixture) -> None:
    skeleton = CocoFile(write_coco(category={"keypoints": ["nose", "left_tail", "right_tail"]})).skeleton()
    assert skeleton.oks_sigmas == (0.026, DEFAULT_OKS_SIGMA, DEFAULT_OKS_SIGMA)
    assert "no OKS constant known for left_tail, right_tail" in caplog.text


def test_known_joints_are_not_warned_of(write_coco: WriteCoco, caplog: pytest.LogCaptureFixture) -> None:
    CocoFile(write_coco()).skeleton()
    assert not caplog.records


def test_given_oks_constants_are_taken_without_warning(write_coco: WriteCoco, caplog: pytest.LogCaptureFixture) -> None:
    coco = CocoFile(write_coco(category={"keypoints": ["snout", "left_tail", "right_tail"]}))
    assert coco.skeleton((0.1, 0.2, 0.3)).oks_sigmas == (0.1, 0.2, 0.3)
    assert not caplog.records


def test_oks_constants_of_another_number_are_refused(write_coco: WriteCoco) -> None:
    with pytest.raises(InputError, match=r"data\.oks_sigmas: expected 3 values .* got 2"):
        CocoFile(write_coco()).skeleton((0.1, 0.2))


def test_a_joint_whose_other_side_is_misspelt_is_warned_of(
    write_coco: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    CocoFile(write_coco(category={"keypoints": ["nose", "left_hip", "rigth_hip"]})).skeleton()
    assert "left_hip: no joint with this name on the other side" in caplog.text


# --- pairs ----------------------------------------------------------------------------------------------------------


def test_pairs_are_given_by_name(write_coco: WriteCoco, caplog: pytest.LogCaptureFixture) -> None:
    coco = CocoFile(write_coco(category={"keypoints": ["nose", "hipleft", "hipright"]}))
    assert coco.skeleton((0.1, 0.1, 0.1), [("hipleft", "hipright")]).flip_permutation == (0, 2, 1)
    assert not caplog.records


def test_no_pairs_leave_every_joint_in_its_place(write_coco: WriteCoco) -> None:
    coco = CocoFile(write_coco())
    assert coco.skeleton().flip_permutation == (0, 2, 1)
    assert coco.skeleton(flip_pairs=[]).flip_permutation == (0, 1, 2)


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        ([("left_hip", "right_hop")], "no joint 'right_hop'; it has nose, left_hip, right_hip"),
        ([("left_hip", "right_hip"), ("nose", "left_hip")], "'left_hip' appears twice"),
        ([("nose", "nose")], "'nose' appears twice"),
    ],
)
def test_pairs_of_joints_that_are_not_there_or_not_distinct_are_refused(
    write_coco: WriteCoco, pairs: list[tuple[str, str]], message: str
) -> None:
    with pytest.raises(InputError, match=rf"data\.flip_pairs: .*{message}"):
        CocoFile(write_coco()).skeleton(flip_pairs=pairs)
