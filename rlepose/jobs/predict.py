"""Predict poses in files: draw them into pictures or films, and list them in results.json."""

import contextlib
import itertools
import logging
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from tqdm import tqdm

from rlepose.datasets.formats.box_reader import CocoIds, is_box_file, read_boxes
from rlepose.datasets.formats.box_table import BoxTable
from rlepose.datasets.formats.file_names import ByFileName
from rlepose.drawing.film_writer import FilmWriter, open_film_writer
from rlepose.drawing.overlays import write_picture
from rlepose.errors import InputError
from rlepose.inference.boxes import GivenBoxes, detects, key_of
from rlepose.inference.films import is_film, is_video, open_film
from rlepose.inference.input_picture import InputPicture
from rlepose.inference.json_list import JsonList
from rlepose.inference.media import folder_of
from rlepose.inference.poses import PicturePoses, coco_entries
from rlepose.inference.predictor import Predictor
from rlepose.inference.smoothing import NO_SIGMA, Smoother
from rlepose.jobs.output_names import LEFT_OUT, RESULTS, make_folder, name_in_space, output_names
from rlepose.jobs.pose_pictures import draw_persons, write_in_space
from rlepose.jobs.stopping import Stopping

log = logging.getLogger(__name__)

_TOLD = 10  # reasons in the log


def predict_files(
    predictor: Predictor,
    source: Path,
    boxes: GivenBoxes,
    out: Path,
    smooth: bool = False,
    ids: CocoIds | None = None,
) -> int:
    """Draw the poses of a picture, a folder or a film into the folder `out`; return the number of things left out.

    Writes each picture under its own name (output_names.py), a film in a format that browsers play, and results.json in
    COCO's results format; for a 3-D model also NAME_space.png, with the persons of a picture from the side and from
    above, scaled to adults (inference/space.py).
    A picture's id in results.json comes from `ids` or the COCO file with the boxes; else it is the number in its name,
    as in COCO, or counted from 1 if names are not numbers; the id of a film's frame is its number from 0. Joints with a
    score below the predictor's `min_score` are listed but not drawn. The list is valid after each picture, and films
    are closed after Ctrl-C, SIGTERM or an error. Unreadable pictures, files of a folder that are no pictures, boxes
    outside the picture and pictures without persons are logged; if there are many, left_out.txt lists all. InputError
    if a file would be replaced.
    """
    if not source.exists():
        raise InputError(f"{source}: no such file or folder; pass a picture, a video or a folder of pictures")
    if out.resolve() == (source if source.is_dir() else source.parent).resolve():
        raise InputError(f"--out: {out} is the folder of the input; choose another folder")
    film = is_film(source)
    if smooth and not film:
        raise InputError(f"--smooth: {source} is not a video; remove this option")
    if smooth and not predictor.gives_sigma:
        raise InputError(NO_SIGMA)
    folder = folder_of(source) if source.is_dir() else None
    files = [source] if folder is None else folder.pictures
    count = _frames(source, predictor.max_pixels) if film else len(files)
    table = read_boxes(boxes, ids) if is_box_file(boxes) else boxes  # type: ignore[arg-type]
    image_ids = ids.image_ids if ids is not None else table.image_ids if isinstance(table, BoxTable) else None
    if isinstance(table, BoxTable) and not film:
        _tell_unused(table, files)
    names = output_names(files)
    make_folder(out, [*names.values(), *map(name_in_space, names.values())])
    drawn = _Drawn(predictor, out, files, names, Smoother() if smooth else None)
    omissions = _Omissions(out)
    for skipped in [] if folder is None else folder.skipped:
        omissions.add(skipped)
    id_of = _id_giver(files, image_ids)
    empty_frames = 0
    stopping = Stopping()
    with _nothing_left(out), stopping.listening(), JsonList(out / RESULTS) as results, drawn:
        for picture, poses in _with_speed(predictor.stream(source, table), count):
            with stopping.whole():
                problems = list(poses.problems)
                if not poses.persons and not problems and picture.frame is None:
                    problems = _nobody(poses.name, table)
                empty_frames += not poses.persons and picture.pixels is not None and picture.frame is not None
                poses, of_drawing = drawn.draw(picture, poses)
                image_id = id_of(picture)
                if image_id is not None:
                    results.add(coco_entries([poses], [image_id]))
                elif poses.persons:
                    problems.append(f"{poses.name}: the file of ids does not have it; drawn, but not listed")
                for problem in problems + of_drawing:
                    omissions.add(problem)
    if empty_frames:
        log.info("no person in %d frames", empty_frames)
    log.info("pictures        %s", out if folder is not None else out / names[source])
    log.info("results         %s", out / RESULTS)
    omissions.finish()
    return len(omissions.problems)


@contextlib.contextmanager
def _nothing_left(out: Path) -> Iterator[None]:
    """Where an InputError ends a run before its first result, leave no list that a second run would not replace."""
    try:
        yield
    except InputError:
        if [file.name for file in out.iterdir()] == [RESULTS]:
            (out / RESULTS).unlink()
        raise


class _Drawn:
    """The pictures and films of one run. A context manager that closes the films, so that they can be played.

    files: all files that are drawn, in the order of the pictures' numbers.
    """

    def __init__(
        self, predictor: Predictor, out: Path, files: list[Path], names: dict[Path, str], smoother: Smoother | None
    ) -> None:
        self._predictor = predictor
        self._out = out
        self._files = files
        self._names = names
        self._smoother = smoother
        self._film: tuple[Path, FilmWriter] | None = None

    def __enter__(self) -> "_Drawn":
        return self

    def __exit__(self, *_: object) -> None:
        self._close_film()

    def draw(self, picture: InputPicture, poses: PicturePoses) -> tuple[PicturePoses, list[str]]:
        """Draw poses; return them as they are drawn, smoothed if requested, and what could not be drawn."""
        if picture.pixels is None:
            return poses, []
        if self._smoother is not None:
            poses = PicturePoses(poses.name, poses.size_wh, self._smoother(poses.persons), poses.problems)
        pixels = draw_persons(picture.pixels, poses, self._predictor.skeleton)
        file = self._files[picture.number if len(self._files) > 1 else 0]
        if picture.frame is not None:
            self._writer(file, poses.size_wh).write(pixels)
            return poses, []
        write_picture(self._out / self._names[file], pixels)
        return poses, write_in_space(self._out / name_in_space(self._names[file]), poses, self._predictor)

    def _writer(self, file: Path, size_wh: tuple[int, int]) -> FilmWriter:
        """Return the writer of the film that is being drawn; close the one before."""
        if self._film is None or self._film[0] != file:
            self._close_film()
            with open_film(file, self._predictor.max_pixels) as film:
                fps = film.fps
            stem = (self._out / self._names[file]).with_suffix("")
            self._film = file, open_film_writer(stem, fps, size_wh, file if is_video(file) else None)
        return self._film[1]

    def _close_film(self) -> None:
        if self._film is not None:
            _, writer = self._film
            self._film = None
            writer.close()
            log.info("film            %s", writer.path)
            if writer.sound:
                log.info("sound           %s", writer.sound)


class _Omissions:
    """Report what is left out, and why: in the log unless there is too much, and then in a file."""

    def __init__(self, out: Path) -> None:
        self._out = out
        self.problems: list[str] = []

    def add(self, problem: str) -> None:
        self.problems.append(problem)
        if len(self.problems) <= _TOLD:
            log.warning("left out: %s", problem)
        elif len(self.problems) == _TOLD + 1:
            log.warning("more is left out; see %s at the end", LEFT_OUT)

    def finish(self) -> None:
        if len(self.problems) > _TOLD:
            path = self._out / LEFT_OUT
            path.write_text("\n".join([*self.problems, ""]), encoding="utf-8", errors="backslashreplace")
            log.warning("%d left out; see the first reasons above and all in %s", len(self.problems), path)
        elif self.problems:
            log.warning("%d left out; see the reasons above", len(self.problems))


def _nobody(name: str, boxes: GivenBoxes) -> list[str]:
    """Return why a detector finds no person in a picture."""
    return [f"{name}: no person found; lower --detector-threshold, or give --boxes FILE or whole"] * detects(boxes)


def _tell_unused(table: BoxTable, files: list[Path]) -> None:
    """Log how many boxes are in other pictures; InputError if all are."""
    if table.told_by in ("name", "id") and not any(map(is_film, files)):
        pictures = [InputPicture(str(file), None, number=number) for number, file in enumerate(files)]
        if unused := table.unused(key_of(picture, table.image_ids) for picture in pictures):
            log.info("%s: %d of %d boxes are in other pictures", table.source, len(unused), len(table))


def _id_giver(files: list[Path], image_ids: ByFileName[int] | None) -> Callable[[InputPicture], int | None]:
    """Return a function that gives each picture its id in results.json, None if the given ids lack it."""
    if image_ids is not None:
        return lambda picture: key_of(picture, image_ids).image_id
    if len(files) == 1 and is_film(files[0]):
        return lambda picture: picture.frame
    numbers = [int(file.stem) if file.stem.isdecimal() else -1 for file in files]
    are_ids = len(set(numbers)) == len(files) and min(numbers) >= 0 and max(numbers) < 2**63  # as NumPy's and COCO's
    if are_ids and not any(map(is_film, files)):
        return lambda picture: int(picture.path.stem)
    count = itertools.count(1)
    return lambda _: next(count)


def _frames(film: Path, max_pixels: int) -> int:
    """Return the number of frames according to the film; InputError for one that cannot be read."""
    with open_film(film, max_pixels) as opened:
        return opened.count


def _with_speed(items: Iterable[Any], count: int) -> Iterator[Any]:
    """Yield the items with a progress bar, and log the pictures per second at the end."""
    start, done = time.perf_counter(), 0
    for item in tqdm(items, total=count or None, unit="picture", disable=None, leave=False):
        done += 1
        yield item
    log.info("speed           %d pictures, %.1f per second", done, done / max(time.perf_counter() - start, 1e-9))
