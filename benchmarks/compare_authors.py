"""Train and evaluate in the authors' code and in this project, from equal weights on equal batches; print differences.

Both compute in float64 on the CPU. Batches are this project's augmented crops. The authors' code takes the steps twice:
as it is, and without the 1e-9 that its loss adds to a divisor. Then both predict for the persons of the validation file
in their annotated boxes, with flip test, and each gives COCO's ten numbers.
"""

import argparse
import json
import logging
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from official import Worker
from torch import Tensor

from rlepose.config.config import Config
from rlepose.config.reading import load_config
from rlepose.convert.foreign_checkpoint import load_flows
from rlepose.convert.layouts import from_official
from rlepose.datasets.crops import CropBatch
from rlepose.drawn_people.people import write_synthetic
from rlepose.errors import InputError, run_script
from rlepose.evaluation.coco_table import COCO_METRICS
from rlepose.evaluation.results import CocoResults
from rlepose.jobs.train import build_trainer
from rlepose.runtime.distributed import Ranks
from rlepose.runtime.trained_model import TrainedModel
from rlepose.training.trainer import Trainer

REPOSITORY = Path(__file__).parent.parent
# Their names of the same numbers, in the same order.
THEIR_METRICS = ("AP", "Ap .5", "AP .75", "AP (M)", "AP (L)", "AR", "AR .5", "AR .75", "AR (M)", "AR (L)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clone", type=Path, required=True, metavar="DIR", help="clone of the authors' repository")
    parser.add_argument("--data", type=Path, metavar="DIR", help="COCO, or a part in its layout; default: drawn people")
    parser.add_argument("--steps", type=int, default=20, help="training steps")
    parser.add_argument("--depth", type=int, default=18, choices=(18, 34, 50, 101, 152), help="of the ResNet")
    parser.add_argument("--input-size", type=int, nargs=2, default=(64, 48), metavar=("H", "W"), help="multiples of 4")
    parser.add_argument("--batch-size", type=int, default=8, help="persons a step")
    parser.add_argument(
        "--overfit",
        action="store_true",
        help="train on the validation file, without augmentation: some 150 steps on few persons give numbers above 0",
    )
    parser.add_argument("--seed", type=int, default=0, help="of initial weights, order and augmentation")
    args = parser.parse_args()
    if not (args.clone / "rlepose" / "trainer.py").is_file():
        raise InputError(f"--clone: {args.clone} has no rlepose/trainer.py; name a clone of the authors' repository")
    torch.set_num_threads(1)
    logging.disable(logging.WARNING)
    size_hw = (args.input_size[0], args.input_size[1])
    setup = {"clone": str(args.clone.resolve()), "depth": args.depth, "size_hw": size_hw, "seed": args.seed}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data = _drawn(folder / "drawn") if args.data is None else args.data.resolve()
        trainer = build_trainer(_config(args, data, folder), Ranks(0, 1, torch.device("cpu")))
        authors = Worker(args.clone, folder, "compare_authors_worker.py")
        _start_from(trainer, authors.ask("initial_state", setup))
        batches = _batches(trainer, args.steps)
        theirs = [(_normalised(trainer, batch.image), batch.target, batch.weight) for batch in batches]
        published = authors.ask("train", setup | {"batches": theirs, "exact": False})
        exact = authors.ask("train", setup | {"batches": theirs, "exact": True})
        _print_losses(_train(trainer, batches), published, exact)
        results, crops, numbers, without_bbox = authors.ask("evaluate", setup | {"data": str(data)})
        authors.close()
        step, config, skeleton = trainer.task.step, trainer.task.config, trainer.task.skeleton
        model = TrainedModel(step.model, step.criterion, config, skeleton, trainer.ranks.device)
        metrics, found, _ = trainer.task.validation.run(model)
        assert found is not None
        _print_persons(trainer, found[0], results, crops)
        _print_numbers([metrics[f"gt/{metric}"] for metric in COCO_METRICS], numbers, without_bbox)


def _drawn(root: Path) -> Path:
    """People of this project's drawing in COCO's layout, with the addresses that the authors take file names from."""
    write_synthetic(root, "train2017", 32, seed=0)
    annotations = write_synthetic(root, "val2017", 32, seed=0)
    tree = json.loads(annotations.read_text())
    for image in tree["images"]:
        image["coco_url"] = f"val2017/{image['file_name']}"
    annotations.write_text(json.dumps(tree))
    return root


def _config(args: argparse.Namespace, data: Path, folder: Path) -> Config:
    """The recipe for COCO, with the network that was asked for."""
    height, width = args.input_size
    overrides = [
        f"output_dir={folder / 'exp'}",
        f"data={{root: {data}, cache: none, cache_dir: {folder / 'cache'}, input_size_hw: [{height}, {width}]}}",
        f"model.backbone={{name: resnet{args.depth}, pretrained: false}}",
        f"train={{batch_size: {args.batch_size}, seed: {args.seed}}}",
        "system={device: cpu, precision: float32, workers: 0}",
    ]
    if args.overfit:
        overrides += [
            "data={train_annotations: annotations/person_keypoints_val2017.json, train_images: val2017}",
            "augment={flip_prob: 0, scale: 0, rotation_prob: 0, half_body_prob: 0}",
        ]
    return load_config(REPOSITORY / "configs" / "coco_res50_rle.yaml", overrides)


def _start_from(trainer: Trainer, state: Mapping[str, Tensor]) -> None:
    """Fill the trainer's network and flow, in float64, from the authors' state dict."""
    trainer.step_module.double()
    converted = from_official(state)
    trainer.task.step.model.load_state_dict(converted.model)
    load_flows(trainer.task.step.criterion, converted, Path("the authors' state dict"))


def _batches(trainer: Trainer, count: int) -> list[CropBatch]:
    """The first batches of a training run."""
    batches: list[CropBatch] = []
    while len(batches) < count:
        batches.extend(trainer.task.loader)
        trainer.task.order.epoch += 1
    return batches[:count]


def _normalised(trainer: Trainer, image: Tensor) -> Tensor:
    """What the backbone sees of image (B, 3, H, W)."""
    return (image - trainer.task.step.model.pixel_mean) / trainer.task.step.model.pixel_std


def _train(trainer: Trainer, batches: Sequence[CropBatch]) -> list[float]:
    """The loss of each step before its update, unrounded."""
    losses: list[float] = []
    hook = trainer.step_module.register_forward_hook(
        lambda module, inputs, each: losses.append(each.per_person.mean().item())
    )
    trainer.step_module.train()
    for batch in batches:
        trainer.step(batch)
    hook.remove()
    return losses


def _print_losses(ours: Sequence[float], published: Sequence[float], exact: Sequence[float]) -> None:
    print("Losses before each update, and by which share of the authors' ours differ.\n")
    print("step        ours     authors   differ  authors without 1e-9   differ")
    for step, (own, *others) in enumerate(zip(ours, published, exact, strict=True), 1):
        share, exact_share = (abs(own - other) / abs(other) for other in others)
        print(f"{step:4d} {own:11.6f} {others[0]:11.6f}  {share:.1e} {others[1]:21.6f}  {exact_share:.1e}")


def _print_persons(
    trainer: Trainer, ours: CocoResults, theirs: Sequence[Mapping[str, Any]], their_crops: Tensor
) -> None:
    """How much crops and poses of the same persons differ: those whose crops, in one picture, have one centre."""
    image_ids, crops_xyxy = (np.array([pose[key] for pose in theirs]) for key in ("image_id", "bbox"))
    if sorted(image_ids) != sorted(ours.image_ids):
        print(f"\nOther persons: ours are {len(ours)}, the authors' {len(theirs)}; crops and poses are not compared.")
        return
    dataset, model = trainer.task.validation.source.dataset, trainer.task.step.model
    apart = np.linalg.norm(dataset.center[:, None] - (crops_xyxy[:, :2] + crops_xyxy[:, 2:]) / 2, axis=-1)
    same = np.where(ours.image_ids[:, None] == image_ids, apart, np.inf).argmin(axis=1)
    our_crops = torch.stack([dataset[0, person]["image"] for person in range(len(ours))])
    levels = (our_crops - (their_crops[same] * model.pixel_std + model.pixel_mean).round()).abs()
    print(
        f"\n{len(ours)} persons. Of the {levels.numel()} numbers of their crops {int((levels > 0).sum())} differ, "
        f"by at most {int(levels.max())} of 255."
    )
    joints = np.array([pose["keypoints"] for pose in theirs]).reshape(len(theirs), -1, 3)[same]
    distance = np.linalg.norm(ours.joints[..., :2] - joints[..., :2], axis=-1)
    scores = np.abs(ours.scores - np.array([pose["score"] for pose in theirs])[same])
    print(
        f"After the steps without 1e-9, a joint of both codes is {np.median(distance):.1e} px apart (median), at most\n"
        f"{distance.max():.1e} px. A person's score differs by at most {scores.max():.1e}."
    )


def _print_numbers(ours: Sequence[float | None], numbers: Mapping[str, float], without: Mapping[str, float]) -> None:
    print(
        "\nCOCO's numbers, annotated boxes, flip test. The authors' results have a stray key, bbox, which pycocotools\n"
        "takes the areas from: so their numbers of medium and large persons are wrong. Without bbox they are COCO's.\n"
    )
    print("            ours    authors  without bbox  difference")
    for metric, name, own in zip(COCO_METRICS, THEIR_METRICS, ours, strict=True):
        own = -1 if own is None else own  # pycocotools' word for: nobody to measure it on
        print(f"{metric:5} {own:10.6f} {numbers[name]:10.6f} {without[name]:13.6f} {own - without[name]:11.1e}")


if __name__ == "__main__":
    run_script(main)
