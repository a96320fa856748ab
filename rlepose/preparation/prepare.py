"""Prepare a data set: from the authors' files to the files that a config expects."""

import logging
from collections.abc import Callable, Mapping
from pathlib import Path

from rlepose.datasets.formats.coco import persons_from_annotations
from rlepose.datasets.formats.coco_file import CocoFile
from rlepose.errors import InputError
from rlepose.inspection.overview import overview
from rlepose.outputs import Output, check_output
from rlepose.preparation.coco_layout import CONVERSIONS, convert_file
from rlepose.preparation.download import fetch
from rlepose.preparation.livestock import make_livestock
from rlepose.preparation.lsp import LSP_SPLITS, convert_lsp
from rlepose.preparation.sources import Archive, Source
from rlepose.preparation.unpack import unpack

log = logging.getLogger(__name__)

# Functions that make a data set's files from a clone in the data set's folder; they write annotations last.
FROM_CHECKOUT: Mapping[str, Callable[[Path, Path], None]] = {"livestock": make_livestock}


def prepare(source: Source, root: Path, checkout: Path | None = None) -> None:
    """Download, unpack, convert and check a data set in the folder `root`. Finished steps are skipped.

    checkout: clone of the data set's repository, if the data set is made from it.
    Raises InputError, before any download, if files are missing that must be downloaded by hand.
    """
    if checkout is not None and source.from_checkout is None:
        raise InputError(f"--source: {source.title} is not made from a repository; remove this option")
    log.info("%s: %s", source.title, source.page)
    log.info("licence: %s", source.licence)
    log.info("to cite: %s", source.citation)
    for manual in source.manual:
        missing = [file for file in manual.files if not (root / file).exists()]
        if missing:
            raise InputError(
                f"{root}: {', '.join(missing)} must be downloaded by hand: get the files from {manual.page} "
                f"({manual.hint}), put them there, and run this command again"
            )
    for archive in source.archives:
        _get(archive, root)
    for old, new, name in source.converted:
        if not _is_newer(root / new, root / old):
            _check_root(root)
            if name in LSP_SPLITS:
                convert_lsp(root / old, root / new, LSP_SPLITS[name])
            else:
                convert_file(root / old, root / new, CONVERSIONS[name])
            log.info("%s: written from %s", root / new, old)
    if source.from_checkout is not None and not all((root / annotations).exists() for annotations, _ in source.checked):
        if checkout is None:
            raise InputError(
                f"{root}: is made from a repository; git clone {source.page}, and pass --source with its folder"
            )
        _check_root(root)
        FROM_CHECKOUT[source.from_checkout](checkout, root)
    for annotations, images in source.checked:
        _check(root / annotations, root / images, source.category)


def _get(archive: Archive, root: Path) -> None:
    file = root / archive.url.rpartition("/")[2]
    # The archive is deleted after unpacking, so an existing archive was interrupted.
    if not file.exists():
        if (root / archive.unpacks_to).exists():
            log.info("%s exists", root / archive.unpacks_to)
            return
        _check_root(root)
        log.info("%s: downloading %d MB", archive.url, archive.megabytes)
        fetch(archive.url, file, archive.md5)
    _check_root(root)
    log.info("%s: unpacking", file)
    unpack(file, root)
    if not (root / archive.unpacks_to).exists():
        raise InputError(f"{file}: has no {archive.unpacks_to}, so the data set has changed; unpack it by hand")
    file.unlink()


def _check_root(root: Path) -> None:
    """Raise InputError if the data set's folder cannot be written, where a step is not finished."""
    check_output(Output(root, "--root FOLDER"))


def _is_newer(new: Path, old: Path) -> bool:
    return new.exists() and new.stat().st_mtime >= old.stat().st_mtime


def _check(annotations: Path, images: Path, category: str | None) -> None:
    coco = CocoFile(annotations, category)
    table = persons_from_annotations(coco, images).with_pictures("error", "put them there, and run this command again")
    report = overview(coco, table, coco.skeleton())
    log.info(
        "%s: %d joints, a median of %g labels per person; `rlepose inspect` shows more",
        annotations,
        len(report["joints"]),
        report["joints_a_person"][2],
    )
