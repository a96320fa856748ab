"""Options of data and augmentation."""

from dataclasses import dataclass
from typing import Literal

from rlepose.options import option, path_option

MissingBoxes = Literal["joints", "picture", "leave_out"]


@dataclass(frozen=True)
class DataConfig:
    """Pictures, labels, and the crops of persons."""

    root: str = path_option("data/coco", "folder of the data set; the other paths are relative to it")
    format: Literal["coco", "h36m"] = option(
        "coco",
        "format of the annotation files. coco: 2-D keypoints; h36m: Human3.6M's joints with depth and cameras, JSON or "
        ".npz (docs/pose3d.md), for training 3-D models",
    )
    train_annotations: str | tuple[str, ...] = path_option(
        "annotations/person_keypoints_train2017.json",
        "annotation file to train on; coco: or a list of files",
        below="data.root",
    )
    train_images: str | tuple[str, ...] = path_option(
        "train2017",
        "folder of the training images; with a list of files, one folder for all or one for each",
        below="data.root",
    )
    train_weights: tuple[float, ...] | None = option(
        None,
        "coco: how often the persons of each training file are drawn in an epoch, for example [1, 0.5]; null: once",
        above=0,
    )
    extra_annotations: str | None = path_option(
        None,
        "h36m: MPII JSON of persons without depth labels, who make up half of each training batch; null: none",
        below="data.root",
    )
    extra_images: str | None = path_option(None, "h36m: folder of the images for extra_annotations", below="data.root")
    extra_box_scale: float | None = option(
        None, "h36m: `box_scale` of the persons in extra_annotations; null: the same", above=0
    )
    val_annotations: str = path_option(
        "annotations/person_keypoints_val2017.json", "annotation file to validate on", below="data.root"
    )
    val_images: str = path_option("val2017", "folder of the validation images", below="data.root")
    group_key: str | None = option(
        None,
        "key of an image entry, in both files, that names its group, such as one person or film: a group that is in "
        "both files is rejected before training (docs/protocol.md); null: no check",
    )
    detections: str | None = path_option(
        None, "detected person boxes in the validation images, in COCO results format; null: none", below="data.root"
    )
    detection_boxes: Literal["clipped", "unchanged"] = option(
        "clipped",
        "treatment of detected boxes: clipped like annotated ones (one pixel off the far edge, cut at the image "
        "border), or unchanged, as in the RLE authors' code",
    )
    test_image_info: str = path_option(
        "annotations/image_info_test-dev2017.json",
        "COCO image info JSON of the images for `--split test-dev`",
        below="data.root",
    )
    test_images: str = path_option("test2017", "folder of the test images", below="data.root")
    test_detections: str | None = path_option(
        None, "detected person boxes in the test images, in COCO results format; null: none", below="data.root"
    )
    category: str | tuple[str, ...] | None = option(
        None,
        "name of the category to train, a list of names, or `all`. Categories with the same joints are trained and "
        "evaluated as one; for categories with different joints, one head predicts the union (docs/datasets.md). null: "
        "the only category with keypoints",
    )
    num_keypoints: int | None = option(None, "required number of joints in the annotation files; null: any", low=1)
    oks_sigmas: tuple[float, ...] | None = option(
        None, "OKS constant of each joint, in the order of the files; null: by joint name", above=0
    )
    flip_pairs: tuple[tuple[str, str], ...] | None = option(
        None,
        "pairs of names of joints that mirroring swaps; []: none; null: pairs of joints whose names differ only in "
        "their side (docs/own_data.md lists the words for sides)",
    )
    missing_boxes: MissingBoxes = option(
        "joints",
        "coco: box of persons labelled without one, or with zeros. joints: the joints' extent plus a tenth of its "
        "longer side all round; picture: the whole image; leave_out: none, so these persons are left out",
    )
    exif: Literal["ignore", "apply"] = option(
        "ignore",
        "coco: picture that the labels' coordinates belong to. ignore: the stored one, as in COCO; apply: the one "
        "turned upright by its EXIF orientation, as most labelling tools show it",
    )
    bit_depth: int | None = option(
        None,
        "coco: depth of the values in 16-bit pictures, for example 12; null: the smallest of 10, 12, 14 and 16 that "
        "holds the largest value in the training pictures",
        low=8,
        high=16,
    )
    input_size_hw: tuple[int, int] = option((256, 192), "height and width of the network's input, px", low=32)
    box_scale: float = option(1.25, "size of a crop relative to the person's box", above=0)
    cache: Literal["none", "jpeg", "raw"] = option(
        "none",
        "store the crops of the training persons in one file, made on first use: as JPEG of quality 90, or as raw "
        "bytes (faster, about 8 times larger). none: read the images each time",
    )
    cache_resolution: float = option(
        2.0,
        "resolution of cached crops relative to the network's input, where the image has it; at 1, they are smaller "
        "and read faster, but are smoother than crops in validation (docs/performance.md)",
        above=0,
    )
    cache_dir: str | None = path_option(
        None, "folder for cached crops and parsed annotations; null: `rlepose_cache` in `root`"
    )
    on_bad_image: Literal["error", "skip"] = option(
        "error", "treatment of a missing or undecodable image: stop the run, or skip, count and report it"
    )


@dataclass(frozen=True)
class AugmentConfig:
    """Random augmentation of the training crops (2-D: the paper's ranges)."""

    flip_prob: float = option(0.5, "probability of a mirrored crop", low=0, high=1)
    distribution: Literal["uniform", "normal"] = option(
        "uniform",
        "distribution of scale and rotation. uniform: within 1 ± scale and ± rotation_deg. normal: with these as "
        "standard deviations, clipped to 1 ± scale and ± 2 rotation_deg (the authors' 3-D recipe)",
    )
    scale: float = option(0.25, "maximum relative change of the crop's size", low=0, high=0.9)
    rotation_deg: float = option(45.0, "maximum rotation in either direction, degrees", low=0, high=180)
    rotation_prob: float = option(0.5, "probability that a crop is rotated", low=0, high=1)
    half_body_prob: float = option(
        0.3, "probability of a crop of the upper or lower body, if more than 3 joints are visible", low=0, high=1
    )
    upper_body_prob: float = option(
        0.5,
        "probability that a half-body crop shows the upper half, if both halves have more than 2 visible joints; "
        "0.6915 in the authors' code, which compares a normal random number with 0.5",
        low=0,
        high=1,
    )
    color: float = option(0.0, "each colour channel is multiplied by a random factor in 1 ± color", low=0, high=0.9)
    occlusion_prob: float = option(
        0.0,
        "probability of a rectangle of noise over up to 70 % of the person's box (the authors' 3-D recipe)",
        low=0,
        high=1,
    )
