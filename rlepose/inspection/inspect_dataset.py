"""Check a keypoint file before training: content, suspicious labels, samples, and a config."""

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from rlepose.datasets.category_groups import category_oks_sigmas
from rlepose.datasets.formats.coco import persons_from_annotations
from rlepose.datasets.formats.coco_file import CocoFile
from rlepose.datasets.images import read_labelled_image
from rlepose.datasets.persons import PersonTable
from rlepose.datasets.picture_survey import survey
from rlepose.drawing.overlays import person_tile, sheet, write_picture
from rlepose.errors import InputError
from rlepose.evaluation.results import write_json
from rlepose.evaluation.truth import annotation_area
from rlepose.inspection.box_layout import other_layout
from rlepose.inspection.config_writing import write_config
from rlepose.inspection.overview import format_overview, overview
from rlepose.inspection.pair_sides import doubtful_sides, pair_sides
from rlepose.inspection.problems import label_problems, orientation, picture_problems
from rlepose.inspection.ready_config import ready_config
from rlepose.inspection.recipe import recipe_for
from rlepose.inspection.repeats import estimate_oks_sigmas
from rlepose.inspection.suspicions import Suspicion, suspicions
from rlepose.inspection.validation_file import check_validation
from rlepose.pose.skeleton import Skeleton

log = logging.getLogger(__name__)

_MAX_LOGGED = 5  # of each suspicion; report.json has all
_DRAWN = 12


def inspect_dataset(
    annotations: Path,
    images: Path | None,
    out: Path,
    category: str | Sequence[str] | None = None,
    val: tuple[Path, Path] | None = None,
) -> dict[str, Any]:
    """Log the content of a file; write report.json and, given the folder of its pictures, config.yaml, samples.png and
    suspicious.png; return the report.

    val: annotations and pictures of the config's validation. The report's `problems` keep the config from being ready;
    a config that was edited stays (`write_config`). Raises InputError for files that training also rejects.
    """
    coco = CocoFile(annotations, category)
    table = _persons(coco, images or annotations.parent)
    skeleton = coco.skeleton()
    areas = {annotation["id"]: annotation_area(annotation) for annotation in coco.annotations}
    estimated, repeats = estimate_oks_sigmas(table, np.array([areas[i] for i in table.person_ids.tolist()]))
    skeleton = _with_estimates(skeleton, category_oks_sigmas(coco.category), estimated)
    found = suspicions(coco, table, skeleton)
    report = overview(coco, table, skeleton)
    if category == "all":
        report["category"] = "all"  # not the file's only one: other files may have others
    report["estimated_oks_sigmas"] = dict(zip(skeleton.names, estimated, strict=True))
    report["repeated_labels"] = dict(zip(skeleton.names, repeats, strict=True))
    sides = pair_sides(table, skeleton)
    report["pair_sides"] = [pair._asdict() for pair in sides]
    report["suspicions"] = [asdict(suspicion) for suspicion in found]
    report["problems"] = label_problems(coco, table)
    log.info("%s", format_overview(report))
    for doubt in doubtful_sides(sides):
        log.warning("sides           %s", doubt)
    _log_estimates(estimated, repeats, skeleton)
    _log_suspicions(found)
    out.mkdir(parents=True, exist_ok=True)
    if images is not None:
        _inspect_pictures(report, coco, table, val)
        report["unreadable_pictures"] = _draw(replace(table, upright=report["exif"] == "apply"), skeleton, found, out)
        if report["unreadable_pictures"] and not report["problems"]:
            report["problems"].append(report["unreadable_pictures"][0])
    for problem in report["problems"]:
        log.warning("not ready       %s", problem)
    if images is not None:
        _write_config(report, annotations, images, val, out / "config.yaml")
    write_json(out / "report.json", report)
    log.info("report          %s", out / "report.json")
    return report


def _persons(coco: CocoFile, images: Path) -> PersonTable:
    """The persons of a file; where it has none because of how its boxes are written, InputError says how."""
    try:
        return persons_from_annotations(coco, images)
    except InputError:
        layout = other_layout(coco)
        if layout is None:
            raise
        raise InputError(f"{coco.path}: {layout}") from None


def _inspect_pictures(
    report: dict[str, Any], coco: CocoFile, table: PersonTable, val: tuple[Path, Path] | None
) -> None:
    """Add the value of `data.exif`, problems and doubts that pictures and the file to validate on make."""
    surveys = [survey(table)]
    report["problems"] += picture_problems(table, surveys[0])
    if val is not None:
        problems, of_val = check_validation(coco, table, val, report["category"])
        report["problems"] += problems
        surveys += [of_val] if of_val is not None else []
    report["exif"], problems, report["doubts"] = orientation(surveys)
    report["problems"] += problems
    if report["exif"] == "apply":
        log.info("orientation     the sizes fit the upright pictures only, so the config has data.exif: apply")
    for doubt in report["doubts"]:
        log.warning("pictures        %s", doubt)


def _write_config(
    report: dict[str, Any], annotations: Path, images: Path, val: tuple[Path, Path] | None, path: Path
) -> None:
    recipe, reason = recipe_for(report["persons"])
    log.info("recipe          %s", reason)
    if val is None:
        log.warning("validation      on the training persons, so AP says nothing about new ones; pass --val FILE")
    written = write_config(path, ready_config(report, annotations, images, val, recipe))
    if written != path:
        log.warning("config          %s was edited, or is not of this command, and stays as it is", path)
    log.info("config          %s%s", written, ", which is not ready" if report["problems"] else "")


def _with_estimates(skeleton: Skeleton, known: list[float | None], estimated: list[float | None]) -> Skeleton:
    """Replace only defaults by estimates: with other constants than the built-in ones, AP would not be comparable."""
    sigmas = tuple(
        new if new is not None and built_in is None else old
        for built_in, new, old in zip(known, estimated, skeleton.oks_sigmas, strict=True)
    )
    return Skeleton(skeleton.names, skeleton.bones, sigmas)


def _log_estimates(estimated: list[float | None], repeats: list[int], skeleton: Skeleton) -> None:
    if not any(estimated):
        log.info("OKS sigmas      not estimated: no joint has ten repeated labels")
        return
    log.info("OKS sigmas      estimated from repeated labels (joint, sigma, repeats):")
    for name, sigma, count in zip(skeleton.names, estimated, repeats, strict=True):
        log.info("  %-18s %s %6d", name, "     –" if sigma is None else f"{sigma:6.4f}", count)


def _log_suspicions(found: list[Suspicion]) -> None:
    if not found:
        log.info("suspicious      nothing")
    for name, count in Counter(suspicion.name for suspicion in found).items():
        log.info("suspicious      %d × %s", count, name)
        for suspicion in [s for s in found if s.name == name][:_MAX_LOGGED]:
            log.info("  annotation %d: %s", suspicion.annotation, suspicion.what)


def _draw(table: PersonTable, skeleton: Skeleton, found: list[Suspicion], out: Path) -> list[str]:
    """Draw sheets of persons whose pictures are there; return why pictures could not be read."""
    table = table.select(~np.isin(table.image_index, table.missing_pictures()))
    if not len(table):
        return []
    row_of = {identity: row for row, identity in enumerate(table.person_ids.tolist())}
    suspected = {row_of[s.annotation]: s.name for s in found if s.annotation in row_of}
    spread = np.unique(np.linspace(0, len(table) - 1, _DRAWN).astype(int)).tolist()
    problems: list[str] = []
    for name, persons in (("samples", dict.fromkeys(spread, "")), ("suspicious", suspected)):
        tiles = []
        for row, suspicion in list(persons.items())[:_DRAWN]:
            try:
                image = read_labelled_image(table, int(table.image_index[row]))
            except InputError as error:
                problems.append(str(error))
                log.warning("%s", error)
                continue
            title = f"{table.person_ids[row]} {suspicion}".strip()
            tiles.append(
                person_tile(
                    image, table.bbox_xywh[row], skeleton, table.keypoints[row], title, visible=table.visible[row]
                )
            )
        if tiles:
            write_picture(out / f"{name}.png", sheet(tiles, columns=4))
            log.info("pictures        %s", out / f"{name}.png")
    return problems
