"""Write a config for a new keypoint file."""

import os
from pathlib import Path
from typing import Any

import yaml

from rlepose.config.reading import config_from_dict


def ready_config(report: dict[str, Any], annotations: Path, images: Path, val: tuple[Path, Path] | None) -> str:
    """Return YAML text: the file's paths and joints, crops with the shape of its boxes, a schedule for its size.

    report: from `overview`. val: annotations and pictures to validate on; None for the training persons, with a
    comment that says so.
    """
    paths = [annotations, images, *(val or (annotations, images))]
    root = Path(os.path.commonpath([path.absolute().parent if path.is_file() else path.absolute() for path in paths]))
    names = ("train_annotations", "train_images", "val_annotations", "val_images")
    data: dict[str, Any] = {"root": _relative(root, Path.cwd())}
    data |= {name: _relative(path.absolute(), root) for name, path in zip(names, paths, strict=True)}
    data["category"] = report["category"]
    data["num_keypoints"] = len(report["joints"])
    data["oks_sigmas"] = [joint["oks_sigma"] for joint in report["joints"].values()]
    data["input_size_hw"] = _input_size(report["box_width_to_height"][2])
    epochs = max(20, min(270, 20_000_000 // max(report["persons"], 1)))
    milestones = [round(0.63 * epochs), round(0.74 * epochs)]
    tree: dict[str, Any] = {
        "data": data,
        "model": {"backbone": {"name": "resnet50.tv_in1k", "pretrained": True}},
        "loss": {"name": "rle"},
        "train": {
            "epochs": epochs,
            "batch_size": max(1, min(256, report["persons"])),
            "optimizer": {"name": "adam", "lr": 0.001},
            "schedule": {"name": "step", "milestones": milestones, "gamma": 0.1},
        },
    }
    if report["without_twin"] or not report["pairs"]:
        # A mirrored hand is the other hand: without pairs, mirroring swaps nothing.
        tree |= {"augment": {"flip_prob": 0}, "eval": {"flip_test": False}}
    config_from_dict(tree | {"name": annotations.stem}, source="the config written")
    lines = [f"# Written by `rlepose inspect` for {annotations.name}: {report['persons']} persons."]
    if val is None:
        lines.append("# Validates on the training data, so AP says nothing about new persons: pass --val FILE.")
    if report["unknown_oks_sigmas"]:
        lines.append(f"# oks_sigmas, on which AP depends, in the order {', '.join(report['joints'])}.")
    return "\n".join([*lines, yaml.safe_dump(tree, sort_keys=False, default_flow_style=None)])


def _relative(path: Path, root: Path) -> str:
    inside = os.path.relpath(path, root)
    return str(path) if inside.startswith("..") else inside


def _input_size(width_to_height: float) -> list[int]:
    if width_to_height < 0.87:
        return [256, 192]
    return [192, 256] if width_to_height > 1.15 else [256, 256]
