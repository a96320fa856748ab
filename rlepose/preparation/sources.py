"""Data sets: where to get them, their licences, and how to convert their files."""

from collections.abc import Mapping
from typing import NamedTuple

LIVESTOCK_SPECIES = ("cattle", "horse", "sheep")
ALL_LIVESTOCK = "livestock"
LIVESTOCK_SPLITS = ("train", "val")


class Archive(NamedTuple):
    """A file that can be downloaded without registration.

    unpacks_to: a path in the data set's folder that exists after unpacking.
    """

    url: str
    unpacks_to: str
    megabytes: int
    md5: str


class Manual(NamedTuple):
    """Files that must be downloaded by hand: their expected paths, and the page to get them from."""

    files: tuple[str, ...]
    page: str
    hint: str


class Source(NamedTuple):
    """One data set.

    converted: (original file, file in COCO's layout, name in convert.CONVERSIONS or lsp.LSP_SPLITS).
    checked: (annotation file, picture folder) of each split. category: value for `data.category`.
    from_checkout: name in prepare.FROM_CHECKOUT of the function that makes the files from a clone of the repository at
    `page`.
    """

    title: str
    root: str
    page: str
    licence: str
    citation: str
    archives: tuple[Archive, ...]
    manual: tuple[Manual, ...]
    converted: tuple[tuple[str, str, str], ...]
    checked: tuple[tuple[str, str], ...]
    category: str | None = None
    from_checkout: str | None = None


# Addresses from https://cocodataset.org/#download; checksums from PaddleDetection's ppdet/utils/download.py and from
# NVIDIA's and MLCommons' download scripts, which agree.
_COCO_PICTURES = (
    Archive(
        "http://images.cocodataset.org/zips/train2017.zip", "train2017", 18_440, "cced6f7f71b7629ddf16f17bbcfab6b2"
    ),
    Archive("http://images.cocodataset.org/zips/val2017.zip", "val2017", 778, "442b8da7639aecaf257c1dceb8ba8c80"),
)
_COCO_LABELS = Archive(
    "http://images.cocodataset.org/annotations/annotations_trainval2017.zip",
    "annotations/person_keypoints_val2017.json",
    241,
    "f4bbac642086de4f52a3fdda2de5fa2c",
)
_COCO_LICENCE = "annotations CC BY 4.0; pictures under their owners' Flickr terms"
_WHOLEBODY_LICENCE = "research and other non-commercial use; pictures are COCO's"
_WHOLEBODY_PAGE = "https://github.com/jin-s13/COCO-WholeBody"
_WHOLEBODY_CITATION = "Jin et al., Whole-Body Human Pose Estimation in the Wild, ECCV 2020"
_WHOLEBODY = "annotations/coco_wholebody_{}_v1.0.json".format
_WHOLEBODY_LABELS = Manual(
    (_WHOLEBODY("train"), _WHOLEBODY("val")), _WHOLEBODY_PAGE, "the two annotation files are on Google Drive"
)


def _of_wholebody(title: str, conversion: str, written: str) -> Source:
    """Return COCO-WholeBody's source, converted to annotations/<written>_train.json and _val.json."""
    files = {split: f"annotations/{written}_{split}.json" for split in ("train", "val")}
    return Source(
        title=title,
        root="data/coco",
        page=_WHOLEBODY_PAGE,
        licence=_WHOLEBODY_LICENCE,
        citation=_WHOLEBODY_CITATION,
        archives=_COCO_PICTURES,
        manual=(_WHOLEBODY_LABELS,),
        converted=tuple((_WHOLEBODY(split), file, conversion) for split, file in files.items()),
        checked=tuple((file, f"{split}2017") for split, file in files.items()),
    )


_LSP_LICENCE = "research only; pictures under their owners' Flickr terms"

SOURCES: Mapping[str, Source] = {
    "coco": Source(
        title="COCO 2017 keypoints",
        root="data/coco",
        page="https://cocodataset.org",
        licence=_COCO_LICENCE,
        citation="Lin et al., Microsoft COCO: Common Objects in Context, ECCV 2014",
        archives=(_COCO_LABELS, *_COCO_PICTURES),
        manual=(),
        converted=(),
        checked=tuple((f"annotations/person_keypoints_{s}2017.json", f"{s}2017") for s in ("train", "val")),
    ),
    "coco_wholebody": _of_wholebody("COCO-WholeBody", "coco_wholebody", "wholebody"),
    "coco_hands": _of_wholebody("hands of COCO-WholeBody", "coco_hands", "hands"),
    "halpe26": Source(
        title="Halpe Full-Body, 26 joints",
        root="data/halpe",
        page="https://github.com/Fang-Haoshu/Halpe-FullBody",
        licence="see the page; pictures are from HICO-DET and COCO",
        citation="Fang et al., AlphaPose: Whole-Body Regional Multi-Person Pose Estimation and Tracking, TPAMI 2022",
        archives=(),
        manual=(
            Manual(
                ("annotations/halpe_train_v1.json", "annotations/halpe_val_v1.json"),
                "https://github.com/Fang-Haoshu/Halpe-FullBody",
                "the two annotation files are on Google Drive",
            ),
            Manual(
                ("images/train2015", "images/val2017"),
                "https://github.com/Fang-Haoshu/Halpe-FullBody",
                "hico_20160224_det/images/train2015 of HICO-DET, and COCO's val2017 (a symbolic link is enough)",
            ),
        ),
        converted=tuple(
            (f"annotations/halpe_{s}_v1.json", f"annotations/halpe26_{s}.json", "halpe26") for s in ("train", "val")
        ),
        checked=(
            ("annotations/halpe26_train.json", "images/train2015"),
            ("annotations/halpe26_val.json", "images/val2017"),
        ),
    ),
    "crowdpose": Source(
        title="CrowdPose",
        root="data/crowdpose",
        page="https://github.com/Jeff-sjtu/CrowdPose",
        licence="see the page; pictures are from MSCOCO, MPII and AI Challenger",
        citation="Li et al., CrowdPose: Efficient Crowded Scenes Pose Estimation and a New Benchmark, CVPR 2019",
        archives=(),
        manual=(
            Manual(
                (*(f"annotations/crowdpose_{s}.json" for s in ("train", "val", "test")), "images"),
                "https://github.com/Jeff-sjtu/CrowdPose",
                "annotations and pictures are on Google Drive",
            ),
        ),
        converted=tuple(
            (f"annotations/crowdpose_{s}.json", f"annotations/crowdpose_coco_{s}.json", "crowdpose")
            for s in ("train", "val", "test")
        ),
        checked=tuple((f"annotations/crowdpose_coco_{s}.json", "images") for s in ("train", "val", "test")),
    ),
    "ap10k": Source(
        title="AP-10K, animals",
        root="data/ap10k",
        page="https://github.com/AlexTheBad/AP-10K",
        licence="CC BY 4.0 according to redistributors; see the page",
        citation="Yu et al., AP-10K: A Benchmark for Animal Pose Estimation in the Wild, NeurIPS 2021",
        archives=(),
        manual=(
            Manual(
                (*(f"annotations/ap10k-{s}-split1.json" for s in ("train", "val")), "data"),
                "https://github.com/AlexTheBad/AP-10K",
                "the archive is on Google Drive",
            ),
        ),
        converted=(),
        checked=tuple((f"annotations/ap10k-{s}-split1.json", "data") for s in ("train", "val")),
        category="all",
    ),
    "lsp": Source(
        title="Leeds Sports Pose",
        root="data/lsp",
        page="http://sam.johnson.io/research/lsp.html",
        licence=_LSP_LICENCE,
        citation="Johnson and Everingham, Clustered Pose and Nonlinear Appearance Models for Human Pose Estimation, "
        "BMVC 2010",
        archives=(),
        manual=(Manual(("joints.mat", "images"), "http://sam.johnson.io/research/lsp.html", "lsp_dataset.zip"),),
        converted=tuple(("joints.mat", f"annotations/lsp_{s}.json", f"lsp_{s}") for s in ("train", "test")),
        checked=tuple((f"annotations/lsp_{s}.json", "images") for s in ("train", "test")),
    ),
    "lspet": Source(
        title="Leeds Sports Pose Extended, for training",
        root="data/lspet_original",
        page="http://sam.johnson.io/research/lspet.html",
        licence=_LSP_LICENCE,
        citation="Johnson and Everingham, Learning Effective Human Pose Estimation from Inaccurate Annotation, "
        "CVPR 2011",
        archives=(),
        manual=(Manual(("joints.mat", "images"), "http://sam.johnson.io/research/lspet.html", "lspet_dataset.zip"),),
        converted=(("joints.mat", "annotations/lspet_train.json", "lspet_train"),),
        checked=(("annotations/lspet_train.json", "images"),),
    ),
    "livestock": Source(
        title="LivestockKeypoints v1.0, cropped animals",
        root="data/livestock",
        page="https://github.com/yww0411/Livestock-keypoint-detection",
        licence="CC BY 4.0; attribution: Yiwei Wang et al., LivestockKeypoints, v1.0, licensed under CC BY 4.0",
        citation="Wang et al., Performance evaluation of a state-of-the-art keypoint detection method for precision "
        "livestock farming, Computers and Electronics in Agriculture 240, 2026",
        archives=(),
        manual=(),
        converted=(),
        checked=tuple(
            (f"annotations/{name}_{split}.json", f"images/{split}")
            for name in (ALL_LIVESTOCK, *LIVESTOCK_SPECIES)
            for split in LIVESTOCK_SPLITS
        ),
        from_checkout="livestock",
    ),
}
