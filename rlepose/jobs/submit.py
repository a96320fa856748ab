"""Write the submission file for COCO's test-dev server, which alone has the labels."""

import logging
import zipfile
from pathlib import Path
from typing import Any

from rlepose.config.config import Config
from rlepose.datasets.category_groups import CategoryGroup
from rlepose.datasets.formats.coco_entries import entries
from rlepose.datasets.formats.coco_file import Pictures
from rlepose.datasets.formats.detections import persons_from_detections
from rlepose.datasets.formats.json_file import read_json
from rlepose.datasets.of_config import read_as
from rlepose.errors import InputError
from rlepose.evaluation.results import write_results
from rlepose.jobs.validate import open_network
from rlepose.pose.skeleton import COCO
from rlepose.runtime.checkpoint import Checkpoint
from rlepose.runtime.distributed import Ranks
from rlepose.validation.pose_results import detected_results_of
from rlepose.validation.pose_source import TableSource

log = logging.getLogger(__name__)


def submit_checkpoint(
    path: Path,
    config: Config,
    checkpoint: Checkpoint,
    boxes: str | None,
    out: Path,
    ranks: Ranks,
    onnx: Path | None = None,
) -> Path:
    """Predict on the test pictures, in the boxes of a detection file; return the zip file to upload, written to `out`.

    boxes: the file, None for the config's. The names are those that the server expects:
    person_keypoints_test-dev2017_NAME_results, .json and .zip. InputError if boxes, pictures, the category `person` or
    COCO's joints are missing.
    """
    if checkpoint.skeleton.names != COCO.names:
        raise InputError(
            f"--split test-dev: {path} predicts the joints {', '.join(checkpoint.skeleton.names)}, but the server "
            f"expects COCO's {len(COCO)} in their order; use a checkpoint that was trained on COCO"
        )
    data = config.data
    root = Path(data.root)
    boxes = boxes or (data.test_detections and str(root / data.test_detections))
    if boxes is None or boxes == "gt":
        raise InputError(
            "--split test-dev: the pictures have no annotated boxes; pass a detection file in COCO results format with "
            "--boxes FILE or --set data.test_detections=FILE"
        )
    info = root / data.test_image_info
    tree = read_json(info, "image info file")
    pictures, category_id = Pictures(info, tree), _category_id(info, tree)
    group = CategoryGroup("person", (category_id,), ("person",), tuple(range(len(COCO))))
    clip = data.detection_boxes == "clipped"
    table = read_as(data, persons_from_detections(pictures, root / data.test_images, boxes, [group], clip))
    source = TableSource(config, table, checkpoint.skeleton, ranks, labelled=False)
    poses = source.predict(open_network(path, config, checkpoint, ranks.device, onnx))
    submission = out / f"person_keypoints_test-dev2017_{config.name}_results.zip"
    if ranks.is_main:
        results = detected_results_of(poses, group, checkpoint.skeleton, config.eval.nms_threshold)
        file = submission.with_suffix(".json")
        write_results(file, results)
        with zipfile.ZipFile(submission, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.write(file, file.name)
        log.info("poses           %d in %d pictures, from %d boxes", len(results), len(pictures.images), len(table))
        log.info("to upload       %s", submission)
    return submission


def _category_id(info: Path, tree: dict[str, Any]) -> int:
    categories = {entry.get("name"): entry["id"] for entry in entries(info, tree, "categories")}
    if "person" not in categories:
        raise InputError(
            f"{info}: no category 'person', only {', '.join(map(str, categories)) or 'an empty list'}; "
            "download COCO's image info file again, or set data.test_image_info to its path"
        )
    return categories["person"]
