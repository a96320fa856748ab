"""Predict poses in files: draw them into pictures or a video, and list them in results.json."""

import logging
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from tqdm import tqdm

from rlepose.drawing.overlays import Picture, draw_label, draw_pose, write_picture
from rlepose.drawing.views_in_space import scale_for, view_tile
from rlepose.errors import InputError
from rlepose.inference.boxes import GivenBoxes
from rlepose.inference.json_list import JsonList
from rlepose.inference.media import Video, is_video, pictures_in
from rlepose.inference.poses import PersonPose, PicturePoses, coco_entries
from rlepose.inference.predictor import Predictor
from rlepose.inference.smoothing import NO_SIGMA, Smoother
from rlepose.inference.space import relative_mm

log = logging.getLogger(__name__)

_SIDE = 320  # pixels of a view in space
_TOLD = 10  # reasons in the log


def predict_files(
    predictor: Predictor, source: Path, boxes: GivenBoxes, out: Path, smooth: bool = False, min_score: float = 0.0
) -> int:
    """Draw the poses of a picture, a folder or a video into the folder `out`; return the number of things left out.

    Writes each picture under its own name (a.pgm, which has no colour, as a.pgm.png), or an mp4, and results.json in
    COCO's results format; for a 3-D model also NAME_space.png, with the persons of a picture from the side and from
    above, scaled to adults (inference/space.py).
    A picture's id in results.json is the number in its name, as in COCO, or counts from 1 if names are not numbers; a
    frame's id is its number from 0. Joints with a score below `min_score` are listed but not drawn. The list is valid
    after each picture, and the mp4 is closed after Ctrl-C or an error. Unreadable pictures, boxes outside the picture
    and pictures without persons are logged; if there are many, left_out.txt lists all.
    """
    if not source.exists():
        raise InputError(f"{source}: no such file or folder; pass a picture, a video or a folder of pictures")
    if out.resolve() == (source if source.is_dir() else source.parent).resolve():
        raise InputError(f"--out: {out} is the folder of the input; choose another folder")
    video = is_video(source)
    if smooth and not video:
        raise InputError(f"--smooth: {source} is not a video; remove this option")
    if smooth and not predictor.gives_sigma:
        raise InputError(NO_SIGMA)
    problems: list[str] = []
    if video:
        _video(predictor, source, boxes, out, problems, Smoother() if smooth else None, min_score)
    else:
        _pictures(predictor, source, boxes, out, problems, min_score)
    log.info("results         %s", out / "results.json")
    if len(problems) > _TOLD:
        (out / "left_out.txt").write_text("\n".join([*problems, ""]), encoding="utf-8")
        log.warning("%d left out; see the first reasons above and all in %s", len(problems), out / "left_out.txt")
    elif problems:
        log.warning("%d left out; see the reasons above", len(problems))
    return len(problems)


def _pictures(
    predictor: Predictor, source: Path, boxes: GivenBoxes, out: Path, left_out: list[str], min_score: float
) -> None:
    files = pictures_in(source) if source.is_dir() else [source]
    ids = _image_ids(files)
    found = predictor.stream(source, boxes)
    with _results(out) as results:
        for number, (frame, poses) in _with_speed(zip(ids, found, strict=True), len(ids)):
            problems = list(poses.problems)
            if not poses.persons and not problems and boxes in (None, "detector"):
                problems = [f"{poses.name}: no person found; lower --detector-threshold, or give --boxes FILE or whole"]
            results.add(coco_entries([poses], [number]))
            if frame.pixels is not None:
                write_picture(
                    out / _drawn_name(Path(poses.name).name), draw_persons(frame.pixels, poses, predictor, min_score)
                )
                problems += _write_in_space(out / f"{Path(poses.name).stem}_space.png", poses, predictor)
            _tell(problems, left_out)
    log.info("pictures        %s", out)


def _results(out: Path) -> JsonList:
    """Create the folder with an empty list. Replaces an existing list, so the input must be checked before."""
    out.mkdir(parents=True, exist_ok=True)
    return JsonList(out / "results.json")


def _drawn_name(name: str) -> str:
    """Return the name of a drawn picture: PGM has no colour, so it becomes PNG."""
    return f"{name}.png" if name.lower().endswith(".pgm") else name


def _write_in_space(path: Path, poses: PicturePoses, predictor: Predictor) -> list[str]:
    """Draw the persons of a 3-D model from the side and from above; return why some are left out."""
    tiles, problems = [], []
    for number, person in enumerate(poses.persons, 1):
        if person.depth is None:
            continue
        try:
            tiles.append(draw_in_space(person, predictor))
        except InputError as error:
            problems.append(f"{poses.name}: person {number} in 3-D: {error}")
    if tiles:
        write_picture(path, np.concatenate(tiles))
    return problems


def _video(
    predictor: Predictor,
    source: Path,
    boxes: GivenBoxes,
    out: Path,
    left_out: list[str],
    smoother: Smoother | None,
    min_score: float,
) -> None:
    with Video(source) as video:
        fps, count = video.fps, video.count
    path = out / f"{source.stem}.mp4"
    writer: Any = None
    empty = 0
    try:
        with _results(out) as results:
            for number, (frame, poses) in enumerate(_with_speed(predictor.stream(source, boxes), count)):
                _tell(poses.problems, left_out)
                if frame.pixels is None:
                    continue
                empty += not poses.persons
                if smoother is not None:
                    poses = PicturePoses(poses.name, poses.size_wh, smoother(poses.persons), poses.problems)
                if writer is None:
                    rate = _writable_fps(fps)
                    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), rate, poses.size_wh)
                    if not writer.isOpened():
                        size = "{}x{}".format(*poses.size_wh)
                        raise InputError(
                            f"{path}: OpenCV cannot write a video of {size} px at {rate:g} frames per second; pass its "
                            "frames as a folder of pictures"
                        )
                writer.write(cv2.cvtColor(draw_persons(frame.pixels, poses, predictor, min_score), cv2.COLOR_RGB2BGR))
                results.add(coco_entries([poses], [number]))
    finally:
        if writer is not None:
            writer.release()  # writes the index, which players need
    if empty:
        log.info("no person in %d frames", empty)
    log.info("video           %s", path)


def _writable_fps(fps: float) -> float:
    """Return the closest rate that MPEG-4 supports: a fraction of integers below 2^16, which OpenCV derives from it."""
    largest = 2**16 - 1
    fps = min(fps, largest)
    digits = next(digits for digits in (3, 2, 1, 0) if fps * 10**digits <= largest)
    return round(fps, digits)


def draw_persons(pixels: Picture, poses: PicturePoses, predictor: Predictor, min_score: float = 0.0) -> Picture:
    """Draw every person's skeleton, ellipses of one standard deviation, and the mean of the joint scores.

    Joints with a score below `min_score` are not drawn.
    """
    for person in poses.persons:
        pixels = draw_pose(pixels, person.keypoints, predictor.skeleton, person.std, person.joint_scores >= min_score)
        x, y = person.bbox_xywh[:2]
        draw_label(pixels, f"{person.joint_scores.mean():.2f}", (round(x), round(y)), above=True)
    return pixels


def draw_in_space(person: PersonPose, predictor: Predictor) -> Picture:
    """Draw a person of a 3-D model from the side and from above, relative to the root: RGB (h, 2 h, 3).

    InputError for a pose that does not fit an adult of any size, see `relative_mm`.
    """
    joints, std = relative_mm(person), None
    if person.std is not None and person.depth_std is not None:
        mm_a_px = np.ptp(joints[:, :2], axis=0).max() / max(np.ptp(person.keypoints, axis=0).max(), 1e-6)
        std = np.column_stack([person.std * mm_a_px, person.depth_std])
    scale = scale_for(joints, _SIDE)
    tiles = [
        view_tile(joints, std, predictor.skeleton, view, f"from {view}", _SIDE, scale) for view in ("the side", "above")
    ]
    return np.concatenate(tiles, axis=1)


def _tell(problems: Iterable[str], left_out: list[str]) -> None:
    """Add problems to `left_out`, and log them unless there are too many."""
    for problem in problems:
        left_out.append(problem)
        if len(left_out) <= _TOLD:
            log.warning("left out: %s", problem)
        elif len(left_out) == _TOLD + 1:
            log.warning("more is left out; see left_out.txt at the end")


def _image_ids(files: list[Path]) -> list[int]:
    numbers = [int(file.stem) if file.stem.isdecimal() else -1 for file in files]
    are_ids = len(set(numbers)) == len(files) and min(numbers) >= 0 and max(numbers) < 2**63  # as NumPy's and COCO's
    return numbers if are_ids else list(range(1, len(files) + 1))


def _with_speed(items: Iterable[Any], count: int) -> Iterator[Any]:
    """Yield the items with a progress bar, and log the pictures per second at the end."""
    start, done = time.perf_counter(), 0
    for item in tqdm(items, total=count or None, unit="picture", disable=None, leave=False):
        done += 1
        yield item
    log.info("speed           %d pictures, %.1f per second", done, done / max(time.perf_counter() - start, 1e-9))
