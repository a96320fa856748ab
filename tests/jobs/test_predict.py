import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from rlepose.datasets.formats.box_reader import read_boxes
from rlepose.datasets.images import MAX_PIXELS, read_image
from rlepose.errors import InputError
from rlepose.inference import PersonPose, PicturePoses, Predictor
from rlepose.inference.films import Video
from rlepose.inference.input_picture import InputPicture
from rlepose.jobs.pose_pictures import draw_persons
from rlepose.jobs.predict import predict_files
from rlepose.pose.skeleton import COCO

ROOT = Path(__file__).parents[2]


def film_in(out: Path) -> Path:
    """The film that was written: MP4 where PyAV or ffmpeg is there, else WebM."""
    (film,) = (path for path in out.iterdir() if path.suffix in (".mp4", ".webm"))
    return film


def nobody_found(names: list[str]) -> Any:
    """A predictor that finds nobody in black pictures of these names, 60x40 px."""
    frames = [
        InputPicture(name, np.zeros((40, 60, 3), np.uint8), frame=number if "#" in name else None)
        for number, name in enumerate(names)
    ]
    found = [(frame, PicturePoses(frame.name, (60, 40), (), ())) for frame in frames]
    return SimpleNamespace(stream=lambda *_: iter(found), gives_sigma=False, skeleton=COCO, max_pixels=MAX_PIXELS)


def test_a_folder_is_drawn_and_listed(checkpoint: Callable[..., Path], synthetic: Path, tmp_path: Path) -> None:
    boxes = read_boxes(synthetic / "annotations" / "person_keypoints_val.json")
    out = tmp_path / "out"
    assert predict_files(Predictor(checkpoint(), "cpu"), synthetic / "val", boxes, out) == 0
    names = [file.name for file in sorted((synthetic / "val").iterdir())]
    assert sorted(file.name for file in out.iterdir()) == [*names, "results.json"]
    entries = json.loads((out / "results.json").read_text())
    assert len(entries) == len(boxes)
    drawn = {Path(entry["file_name"]).name for entry in entries}
    for name in names:
        before, after = read_image(synthetic / "val" / name), read_image(out / name)
        assert before.shape == after.shape
        assert (np.abs(before.astype(int) - after).max() > 100) == (name in drawn)


def test_results_are_those_that_cocos_tools_read(
    checkpoint: Callable[..., Path], synthetic: Path, tmp_path: Path
) -> None:
    from pycocotools.coco import COCO

    annotations = synthetic / "annotations" / "person_keypoints_val.json"
    predict_files(Predictor(checkpoint(), "cpu"), synthetic / "val", read_boxes(annotations), tmp_path / "out")
    truth = COCO(annotations)
    results = truth.loadRes(str(tmp_path / "out" / "results.json"))
    assert len(results.getAnnIds()) == len(truth.getAnnIds())
    for image_id in truth.getImgIds():
        assert len(results.getAnnIds(imgIds=image_id)) == len(truth.getAnnIds(imgIds=image_id))


def test_nobody_in_a_picture_is_told_and_counted(
    checkpoint: Callable[..., Path], synthetic: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    from rlepose.inference.boxes import NO_BOXES, Boxes

    predictor = Predictor(checkpoint(), "cpu", detector=lambda _: Boxes(*NO_BOXES))
    file = sorted((synthetic / "val").iterdir())[0]
    assert predict_files(predictor, file, None, tmp_path / "out") == 1
    assert "no person found; lower --detector-threshold" in caplog.text
    assert (tmp_path / "out" / file.name).exists()


@pytest.mark.parametrize("smooth", [False, True])
def test_a_video_is_drawn_frame_by_frame(
    checkpoint: Callable[..., Path], write_video: Callable[..., Path], tmp_path: Path, smooth: bool
) -> None:
    source = write_video(tmp_path / "film.avi", "MJPG", 10)
    out = tmp_path / "out"
    assert predict_files(Predictor(checkpoint(), "cpu"), source, "whole", out, smooth) == 0
    with Video(film_in(out)) as film:
        assert (film.fps, film.count) == (20, 10)
    entries = json.loads((out / "results.json").read_text())
    assert [entry["image_id"] for entry in entries] == list(range(10))


@pytest.mark.parametrize("fps", [29.97, 66.123, 240.123, 90_000])
def test_a_video_of_any_rate_is_written(write_video: Callable[..., Path], tmp_path: Path, fps: float) -> None:
    source = write_video(tmp_path / "film.avi", "MJPG", 3, fps)
    assert predict_files(nobody_found(["film.avi#0"] * 3), source, "whole", tmp_path / "out") == 0
    with Video(source) as read, Video(film_in(tmp_path / "out")) as film:
        assert film.count == 3
        assert film.fps == pytest.approx(min(read.fps, 2**16 - 1), rel=1e-4)


def test_smoothing_calms_a_video(
    checkpoint: Callable[..., Path], write_video: Callable[..., Path], tmp_path: Path
) -> None:
    source = write_video(tmp_path / "film.avi", "MJPG", 10)
    predictor = Predictor(checkpoint(), "cpu")
    steps = []
    for smooth in (False, True):
        out = tmp_path / f"smooth {smooth}"
        predict_files(predictor, source, "whole", out, smooth)
        entries = json.loads((out / "results.json").read_text())
        steps.append(np.abs(np.diff([entry["keypoints"] for entry in entries], axis=0)).mean())
    assert steps[1] < 0.8 * steps[0]


def test_a_video_that_ends_early_is_kept_as_far_as_it_goes(
    checkpoint: Callable[..., Path], write_video: Callable[..., Path], tmp_path: Path
) -> None:
    source = write_video(tmp_path / "film.avi", "MJPG", 20)
    data = source.read_bytes()
    source.write_bytes(data[: len(data) // 2])
    assert predict_files(Predictor(checkpoint(), "cpu"), source, "whole", tmp_path / "out") == 1
    with Video(film_in(tmp_path / "out")) as film:
        assert 3 < film.count < 18


def test_a_run_that_is_stopped_keeps_what_it_has_done(
    checkpoint: Callable[..., Path], write_video: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = write_video(tmp_path / "film.avi", "MJPG", 10)
    predictor, out, drawn = Predictor(checkpoint(), "cpu"), tmp_path / "out", []

    def draw_seven(*arguments: Any) -> Any:
        if len(drawn) == 7:
            assert len(json.loads((out / "results.json").read_text())) == 7  # as if it were killed now
            raise KeyboardInterrupt
        drawn.append(draw_persons(*arguments))
        return drawn[-1]

    monkeypatch.setattr("rlepose.jobs.predict.draw_persons", draw_seven)
    with pytest.raises(KeyboardInterrupt):
        predict_files(predictor, source, "whole", out)
    assert [entry["image_id"] for entry in json.loads((out / "results.json").read_text())] == list(range(7))
    with Video(film_in(out)) as film:
        assert film.count == 7


def test_names_of_numbers_too_large_for_ids_are_counted(
    checkpoint: Callable[..., Path], synthetic: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for name in ("7.png", "20240131235959123456.png"):
        (folder / name).write_bytes(sorted((synthetic / "val").iterdir())[0].read_bytes())
    assert predict_files(Predictor(checkpoint(), "cpu"), folder, "whole", tmp_path / "out") == 0
    assert [entry["image_id"] for entry in json.loads((tmp_path / "out" / "results.json").read_text())] == [1, 2]


def test_joints_of_a_low_score_are_listed_but_not_drawn(tmp_path: Path) -> None:
    keypoints = np.linspace(100, 190, 34).reshape(17, 2)
    scores = np.where(np.arange(17) < 9, 0.9, 0.1)
    person = PersonPose(np.array([0.0, 0, 200, 200]), keypoints, None, scores, 1.0, None, shown=scores > 0.5)
    found = InputPicture("a.png", np.zeros((200, 200, 3), np.uint8)), PicturePoses("a.png", (200, 200), (person,), ())
    (tmp_path / "a.png").touch()
    predictor: Any = SimpleNamespace(stream=lambda *_: iter([found]), skeleton=COCO)
    predict_files(predictor, tmp_path / "a.png", "whole", tmp_path / "out")
    drawn = read_image(tmp_path / "out" / "a.png")
    assert drawn[103, 100].any() and not drawn[160:].any()
    (entry,) = json.loads((tmp_path / "out" / "results.json").read_text())
    assert entry["keypoints"][-3:] == [pytest.approx(value, abs=0.01) for value in (*keypoints[-1], 0.1)]


def test_a_picture_of_a_format_without_colour_is_drawn_as_png(tmp_path: Path) -> None:
    Image.new("L", (60, 40)).save(tmp_path / "grey.PGM")
    assert predict_files(nobody_found(["grey.PGM"]), tmp_path / "grey.PGM", "whole", tmp_path / "out") == 0
    assert read_image(tmp_path / "out" / "grey.PGM.png").shape == (40, 60, 3)


def test_many_that_are_left_out_are_told_in_a_file(
    checkpoint: Callable[..., Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(15):
        (folder / f"{number}.jpg").write_text("no picture")
    assert predict_files(Predictor(checkpoint(), "cpu"), folder, "whole", tmp_path / "out") == 15
    assert json.loads((tmp_path / "out" / "results.json").read_text()) == []
    assert caplog.text.count("left out: ") == 10 and "15 left out" in caplog.text
    assert len((tmp_path / "out" / "left_out.txt").read_text().splitlines()) == 15


def test_mistakes_are_told(checkpoint: Callable[..., Path], synthetic: Path, tmp_path: Path) -> None:
    predictor = Predictor(checkpoint(), "cpu")
    for source, out, smooth, message in (
        (tmp_path / "nothing", tmp_path / "out", False, "no such file or folder"),
        (synthetic / "val", synthetic / "val", False, "is the folder of the input"),
        (synthetic / "val", tmp_path / "out", True, "is not a video"),
    ):
        with pytest.raises(InputError, match=message):
            predict_files(predictor, source, "whole", out, smooth)


@pytest.mark.parametrize(
    ("source", "smooth", "message"),
    [
        ("empty", False, "no pictures in it"),
        ("broken.mp4", False, "cannot be opened as a video"),
        ("film.avi", True, "this model has none"),
    ],
)
def test_a_rerun_that_fails_leaves_the_older_results(
    write_video: Callable[..., Path], tmp_path: Path, source: str, smooth: bool, message: str
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken.mp4").write_text("no video")
    write_video(tmp_path / "film.avi", "MJPG", 2)
    older = tmp_path / "out" / "results.json"
    older.parent.mkdir()
    older.write_text("[1]")
    with pytest.raises(InputError, match=message):
        predict_files(nobody_found([]), tmp_path / source, "whole", tmp_path / "out", smooth)
    assert older.read_text() == "[1]"


def files_in(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def test_a_second_run_into_the_same_folder_replaces_nothing(
    checkpoint: Callable[..., Path], synthetic: Path, write_video: Callable[..., Path], tmp_path: Path
) -> None:
    predictor, out = Predictor(checkpoint(), "cpu"), tmp_path / "out"
    predict_files(predictor, synthetic / "val", "whole", out)
    first = files_in(out)
    film = write_video(tmp_path / "film.avi", "MJPG", 2)
    for source in (synthetic / "val", sorted((synthetic / "val").iterdir())[0], film):
        with pytest.raises(InputError, match=r"--out: .*out has results\.json.* already, .* choose another folder"):
            predict_files(predictor, source, "whole", out)
    assert files_in(out) == first


@pytest.mark.parametrize("name", ["1.png", "1_space.png", "left_out.txt"])
def test_a_file_that_predict_did_not_write_is_not_replaced_either(tmp_path: Path, name: str) -> None:
    Image.new("L", (60, 40)).save(tmp_path / "1.png")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / name).write_text("mine")
    with pytest.raises(InputError, match=f"has {name} already"):
        predict_files(nobody_found(["1.png"]), tmp_path / "1.png", "whole", tmp_path / "out")
    assert files_in(tmp_path / "out") == {name: b"mine"}


def test_everything_in_a_folder_is_drawn_or_named(
    checkpoint: Callable[..., Path], case_folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """grey.pgm becomes a PNG, whose name another picture has; photo.HEIC is a JPEG by another name."""
    source, out = case_folder / "folder_of_everything", tmp_path / "out"
    assert predict_files(Predictor(checkpoint(), "cpu"), source, "whole", out) == 2
    for name in ("clip.mp4", "sub"):
        assert f"left out: {source / name}: " in caplog.text
    entries = json.loads((out / "results.json").read_text())
    assert {Path(entry["file_name"]) for entry in entries} == set(source.iterdir()) - {
        source / "clip.mp4",
        source / "sub",
    }
    drawn = {file.name for file in out.iterdir()} - {"results.json"}
    assert len(drawn) == len(entries) and {"a.jpg", "grey.pgm.png", "grey.pgm_2.png", "photo.HEIC.png"} < drawn
    assert all(read_image(out / name).shape[:2] == (288, 288) for name in drawn)


def test_an_animated_picture_becomes_a_film(checkpoint: Callable[..., Path], case_folder: Path, tmp_path: Path) -> None:
    assert (
        predict_files(Predictor(checkpoint(), "cpu"), case_folder / "video" / "walk.gif", "whole", tmp_path / "out")
        == 0
    )
    (film,) = (file for file in (tmp_path / "out").iterdir() if file.name != "results.json")
    with Video(film) as video:
        assert len(list(video)) == 40
    entries = json.loads((tmp_path / "out" / "results.json").read_text())
    assert [(entry["image_id"], entry["file_name"]) for entry in entries] == [(n, f"walk.gif#{n}") for n in range(40)]


def test_a_run_refused_at_its_first_picture_leaves_nothing(
    checkpoint: Callable[..., Path], synthetic: Path, tmp_path: Path
) -> None:
    """So that the corrected command may have the same --out."""
    predictor, out = Predictor(checkpoint(), "cpu", detector=lambda pixels: "nobody"), tmp_path / "out"
    with pytest.raises(InputError, match="expected numbers"):
        predict_files(predictor, synthetic / "val", None, out)
    assert files_in(out) == {}
    assert predict_files(predictor, synthetic / "val", "whole", out) == 0


def test_an_h264_film_is_written_frame_by_frame(
    checkpoint: Callable[..., Path], case_folder: Path, tmp_path: Path
) -> None:
    source, out = case_folder / "video" / "walk264.mp4", tmp_path / "out"
    with Video(source) as video:
        count, fps = len(list(video)), video.fps
    assert count > 10
    assert predict_files(Predictor(checkpoint(), "cpu"), source, "whole", out) == 0
    (film,) = (file for file in out.iterdir() if file.name != "results.json")
    with Video(film) as video:
        assert len(list(video)) == count and video.fps == pytest.approx(fps, rel=0.01)
    entries = json.loads((out / "results.json").read_text())
    assert [entry["image_id"] for entry in entries] == list(range(count))


def test_an_animated_picture_in_a_folder_becomes_a_film(checkpoint: Callable[..., Path], tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    frames = [Image.new("RGB", (64, 48), (50 * number, 0, 0)) for number in range(3)]
    frames[0].save(folder / "5.gif", save_all=True, append_images=frames[1:])
    frames[0].save(folder / "7.png")
    assert predict_files(Predictor(checkpoint(), "cpu"), folder, "whole", tmp_path / "out") == 0
    entries = json.loads((tmp_path / "out" / "results.json").read_text())
    assert [entry["image_id"] for entry in entries] == [1, 2, 3, 4]
    assert sorted(file.stem for file in (tmp_path / "out").iterdir()) == ["5", "7", "results"]


@pytest.mark.parametrize("given", ["npy", "json", "name", "array", "python"])
def test_one_box_serves_a_whole_video(
    checkpoint: Callable[..., Path], write_video: Callable[..., Path], tmp_path: Path, given: str
) -> None:
    source, box = write_video(tmp_path / "film.avi", "MJPG", 4), [5, 5, 30, 40]
    np.save(tmp_path / "box.npy", box)
    (tmp_path / "box.json").write_text(json.dumps([box] if given == "json" else {"film.avi": [box]}))
    file = tmp_path / ("box.npy" if given == "npy" else "box.json")
    boxes: Any = {"array": np.array([box]), "python": box}.get(given, file)
    predict_files(Predictor(checkpoint(), "cpu"), source, boxes, tmp_path / "out")
    entries = json.loads((tmp_path / "out" / "results.json").read_text())
    assert [(entry["image_id"], entry["box"]) for entry in entries] == [(n, [5, 5, 29, 39]) for n in range(4)]


def test_boxes_may_be_of_each_frame(
    checkpoint: Callable[..., Path], write_video: Callable[..., Path], tmp_path: Path
) -> None:
    source = write_video(tmp_path / "film.avi", "MJPG", 3)
    np.save(tmp_path / "boxes.npy", [[[5 + n, 5, 30, 40]] for n in range(3)])
    results = [{"image_id": n, "category_id": 1, "bbox": [5 + n, 5, 30, 40], "score": 1} for n in range(3)]
    (tmp_path / "boxes.json").write_text(json.dumps(results))
    predictor = Predictor(checkpoint(), "cpu")
    for file in ("boxes.npy", "boxes.json"):
        predict_files(predictor, source, tmp_path / file, tmp_path / f"out {file}")
        entries = json.loads((tmp_path / f"out {file}" / "results.json").read_text())
        assert [entry["box"][0] for entry in entries] == [5, 6, 7]


def test_numbers_without_names_for_several_pictures_are_refused(
    checkpoint: Callable[..., Path], synthetic: Path, tmp_path: Path
) -> None:
    np.save(tmp_path / "boxes.npy", [[5, 5, 30, 40], [6, 6, 30, 40]])
    with pytest.raises(InputError, match=r"boxes\.npy: 2 boxes without a picture's name; .* one array per picture"):
        predict_files(Predictor(checkpoint(), "cpu"), synthetic / "val", tmp_path / "boxes.npy", tmp_path / "out")


@pytest.mark.parametrize("content", [b"", b"text", b"\x93NUMPY\x01\x00", b"PK\x03\x04"])
def test_an_npy_file_that_holds_no_numbers_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "boxes.npy").write_bytes(content)
    with pytest.raises(InputError, match=r"boxes\.npy: holds no array of numbers"):
        read_boxes(tmp_path / "boxes.npy")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_finishes_the_film_and_the_list(
    checkpoint: Callable[..., Path], write_video: Callable[..., Path], tmp_path: Path, number: signal.Signals
) -> None:
    source = write_video(tmp_path / "film.avi", "MJPG", 400)
    out = tmp_path / "out"
    command = [sys.executable, "scripts/predict.py", source, "--checkpoint", checkpoint(), "--out", out]
    command += ["--boxes", "whole", "--device", "cpu", "--set", "eval.batch_size=1", "eval.flip_test=false"]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL) as run:
        while not (out / "results.json").exists() or (out / "results.json").read_text().count("image_id") < 5:
            assert run.poll() is None
            time.sleep(0.01)
        run.send_signal(number)
        assert run.wait(120) == {signal.SIGTERM: 143, signal.SIGINT: 130}[number]
    entries = json.loads((out / "results.json").read_text())
    assert 5 <= len(entries) < 400
    (film,) = (file for file in out.iterdir() if file.name != "results.json")
    with Video(film) as video:
        assert len(list(video)) == len(entries)


def test_the_source_may_follow_overrides(
    checkpoint: Callable[..., Path], run_script: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    Image.new("RGB", (60, 40)).save(tmp_path / "a=1.png")
    overrides = ("--set", "eval.flip_test=false", "eval.batch_size=2", tmp_path / "a=1.png")
    result = run_script(
        "predict.py", *overrides, "--checkpoint", checkpoint(), "--out", tmp_path / "out", "--boxes", "whole"
    )
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "out" / "a=1.png").exists()


@pytest.mark.parametrize(
    "content", ["[]", '{"a.png": 3}', '{"images": [{"id": 1}], "annotations": []}', '{"images": 3, "annotations": []}']
)
def test_box_files_of_another_kind_are_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "boxes.json").write_text(content)
    with pytest.raises(InputError, match=r"boxes\.json: (expected|not in COCO's layout)"):
        read_boxes(tmp_path / "boxes.json")


@pytest.mark.parametrize("entry", ["[[0, 0, 5]]", '["abc"]', "[[1, 2, 3, NaN]]", f"[[1, 2, 3, {10**400}]]"])
def test_an_entry_that_is_no_box_is_found_when_the_file_is_read(tmp_path: Path, entry: str) -> None:
    (tmp_path / "boxes.json").write_text(f'{{"a.jpg": [[0, 0, 5, 5]], "b.jpg": {entry}}}')
    with pytest.raises(InputError, match=r"boxes\.json: b\.jpg: expected numbers \(N, 4\)"):
        read_boxes(tmp_path / "boxes.json")


def test_a_missing_box_file_is_told_without_options_that_the_command_lacks(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere\.json: the box file does not exist; check the path$"):
        read_boxes(tmp_path / "nowhere.json")


def test_the_command_exits_with_1_when_something_was_left_out(
    checkpoint: Callable[..., Path],
    run_script: Callable[..., subprocess.CompletedProcess[str]],
    synthetic: Path,
    tmp_path: Path,
) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    (folder / "good.png").write_bytes(sorted((synthetic / "val").iterdir())[0].read_bytes())
    (folder / "bad.png").write_text("no picture")
    arguments = (folder, "--checkpoint", checkpoint(), "--out", tmp_path / "out", "--boxes", "whole")
    result = run_script("predict.py", *arguments)
    assert result.returncode == 1, result.stderr
    assert "bad.png: cannot be decoded as a picture" in result.stdout + result.stderr
    assert "Traceback" not in result.stderr
    assert {file.name for file in (tmp_path / "out").iterdir()} == {"good.png", "results.json"}
