"""Options of data and augmentation."""

from dataclasses import dataclass
from typing import Literal

from rlepose.options import option

MissingBoxes = Literal["joints", "picture", "leave_out"]


@dataclass(frozen=True)
class DataConfig:
    """Which pictures and labels, and how a person is cut out of a picture."""

    root: str = option("data/coco", "folder of the data set; the other paths are relative to it")
    format: Literal["coco", "h36m"] = option(
        "coco",
        "of the annotation files. coco: keypoints in 2-D; h36m: Human3.6M's joints with depth and cameras, JSON or "
        ".npz (docs/pose3d.md), from which a 3-D model is trained",
    )
    train_annotations: str = option("annotations/person_keypoints_train2017.json", "annotation file to train on")
    train_images: str = option("train2017", "folder of the training pictures")
    extra_annotations: str | None = option(
        None, "h36m: MPII JSON of persons without depth labels, who make half of each training batch; null: none"
    )
    extra_images: str | None = option(None, "h36m: folder of these persons' pictures")
    extra_box_scale: float | None = option(
        None, "h36m: how much larger than these persons' boxes their crops are; null: as `box_scale`", above=0
    )
    val_annotations: str = option("annotations/person_keypoints_val2017.json", "annotation file to validate on")
    val_images: str = option("val2017", "folder of the validation pictures")
    group_key: str | None = option(
        None,
        "key of an image in both files that says which pictures belong together, such as all of one person or film: "
        "a group that is in both is refused before training (docs/protocol.md); null: no check",
    )
    detections: str | None = option(
        None, "person boxes of a detector on the validation pictures, in COCO results format; null: none"
    )
    detection_boxes: Literal["clipped", "unchanged"] = option(
        "clipped",
        "what is done to a detector's boxes: clipped like annotated ones (a pixel off the far edge, cut at the "
        "picture's border), or left unchanged, as in the RLE authors' code",
    )
    test_image_info: str = option(
        "annotations/image_info_test-dev2017.json", "COCO image info JSON of the pictures for `--split test-dev`"
    )
    test_images: str = option("test2017", "folder of the test pictures")
    test_detections: str | None = option(
        None, "person boxes of a detector on the test pictures, in COCO results format; null: none"
    )
    category: str | tuple[str, ...] | None = option(
        None,
        "name of the category to learn, a list of names, or `all`: categories that share their joints are learned and "
        "evaluated as one, of those with different joints one head learns the union (docs/datasets.md); null: the only "
        "one that has keypoints",
    )
    num_keypoints: int | None = option(
        None, "number of joints that the annotation files must have; null: whatever they have", low=1
    )
    oks_sigmas: tuple[float, ...] | None = option(
        None, "OKS constant of each joint in the files' order; null: by the joints' names", above=0
    )
    flip_pairs: tuple[tuple[str, str], ...] | None = option(
        None,
        "names of the joints that change places when a picture is mirrored, in pairs; []: none; null: those whose "
        "names differ only in their side (docs/own_data.md says which words are recognised)",
    )
    missing_boxes: MissingBoxes = option(
        "joints",
        "coco: what becomes of persons labelled without a box, or with one of zeros. joints: the box is their joints' "
        "extent with a tenth of its longer side around it; picture: the whole picture; leave_out: they are left out",
    )
    input_size_hw: tuple[int, int] = option((256, 192), "height and width of the network's input, pixels", low=32)
    box_scale: float = option(1.25, "how much larger than the person's box the crop is", above=0)
    cache: Literal["none", "jpeg", "raw"] = option(
        "none",
        "crops of the training persons in one file, made on first use: as JPEG of quality 90, as plain bytes (faster "
        "and about 8 times larger), or none: read the pictures each time",
    )
    cache_resolution: float = option(
        2.0,
        "resolution of cached crops, relative to the network's input, where the picture has as much; at 1 they are "
        "smaller and read faster, but smoother than what validation sees (docs/performance.md)",
        above=0,
    )
    cache_dir: str | None = option(
        None, "folder for the crops and for parsed annotations; null: `rlepose_cache` in the folder `root`"
    )
    on_bad_image: Literal["error", "skip"] = option(
        "error", "what a missing or undecodable picture does: end the run, or be left out, counted and reported"
    )


@dataclass(frozen=True)
class AugmentConfig:
    """Random changes to the training crops (the paper's ranges in 2-D)."""

    flip_prob: float = option(0.5, "probability of a mirrored crop", low=0, high=1)
    distribution: Literal["uniform", "normal"] = option(
        "uniform",
        "how scale and rotation are drawn. uniform: evenly within 1 ± scale and ± rotation_deg. normal: with these as "
        "standard deviations, the scale clipped to 1 ± scale and the rotation to ± 2 rotation_deg (the authors' 3-D "
        "recipe)",
    )
    scale: float = option(0.25, "how much the crop's size varies, relative to 1", low=0, high=0.9)
    rotation_deg: float = option(45.0, "how much the crop is rotated either way, degrees", low=0, high=180)
    rotation_prob: float = option(0.5, "probability that a crop is rotated at all", low=0, high=1)
    half_body_prob: float = option(
        0.3, "probability of a crop of the upper or the lower body, where more than 3 joints are visible", low=0, high=1
    )
    upper_body_prob: float = option(
        0.5,
        "probability that a half-body crop is of the upper half, where both halves have more than 2 visible joints; "
        "0.6915 in the authors' code, which compares a normal number with 0.5",
        low=0,
        high=1,
    )
    color: float = option(0.0, "each colour channel is multiplied by a number in 1 ± color", low=0, high=0.9)
    occlusion_prob: float = option(
        0.0,
        "probability of a rectangle of noise in the picture, over up to 70 % of the person's box (the authors' 3-D "
        "recipe)",
        low=0,
        high=1,
    )
