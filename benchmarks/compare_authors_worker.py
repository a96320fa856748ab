"""Trains and evaluates with the authors' code, in float64 on the CPU: their side of compare_authors.py.

Replaced beside what official_process.py replaces: a tensor's cuda() and cpu() copy it, cuda() to float64 (the authors'
accuracy changes labels in place, which are copies where there is a GPU); loading takes no processes; barriers do not
wait.
"""

import functools
import json
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import rlepose.trainer
import torch
from official_process import in_folder_with, serve
from rlepose.models.criterion import RLELoss
from rlepose.utils.config import update_config
from rlepose.utils.metrics import evaluate_mAP
from rlepose.utils.transforms import get_coord
from torch import Tensor
from torch.distributions import MultivariateNormal

from rlepose.models import builder

_loader = torch.utils.data.DataLoader
Tensor.cuda = lambda self, *_: self.to(torch.float64, copy=True)
Tensor.cpu = Tensor.clone
torch.utils.data.DataLoader = lambda *args, num_workers, **options: _loader(*args, **options)
torch.distributed.barrier = lambda: None


class ExactLoss(RLELoss):
    """Their loss without the 1e-9 that they add to what they divide by."""

    def logQ(self, gt_uv: Tensor, pred_jts: Tensor, sigma: Tensor) -> Tensor:  # noqa: N802
        return torch.log(sigma / self.amp) + torch.abs(gt_uv - pred_jts) / (2**0.5 * sigma)


@functools.cache
def network(clone: str, depth: int, size_hw: tuple[int, int], seed: int) -> tuple[Any, Any, dict[str, Tensor]]:
    """Their config for COCO with a network of this depth and input size; the network; its initial state."""
    config = update_config(str(Path(clone) / "configs" / "256x192_res50_regress-flow.yaml"))
    config.DATA_PRESET.IMAGE_SIZE = list(size_hw)
    config.DATA_PRESET.HEATMAP_SIZE = [side // 4 for side in size_hw]
    config.MODEL.NUM_LAYERS = depth
    torch.manual_seed(seed)
    model = builder.build_sppe(config.MODEL, preset_cfg=config.DATA_PRESET)
    model._initialize()
    model.double()
    model.flow.prior = MultivariateNormal(torch.zeros(2).double(), torch.eye(2).double())
    return config, model, {name: value.clone() for name, value in model.state_dict().items()}


def initial_state(**setup: Any) -> dict[str, Tensor]:
    """The state dict to start from."""
    return network(**setup)[2]


def train(batches: list[tuple[Tensor, Tensor, Tensor]], exact: bool, **setup: Any) -> list[float]:
    """The loss of each step before its update, from the initial state on.

    batches: (B, 3, H, W) normalised pixels, target and weight (B, K, 2). exact: without their 1e-9.
    """
    config, model, state = network(**setup)
    model.load_state_dict(state)
    criterion = ExactLoss() if exact else RLELoss()
    losses: list[float] = []
    criterion.register_forward_hook(lambda module, inputs, loss: losses.append(loss.item()))
    loader = [
        (image, {"target_uv": target.flatten(1), "target_uv_weight": weight.flatten(1)}, None, None)
        for image, target, weight in batches
    ]
    optimizer = torch.optim.Adam(model.parameters(), lr=config.TRAIN.LR)
    options = SimpleNamespace(gpu=None, log=False, trainIters=0)
    rlepose.trainer.train(options, config, loader, model, criterion, optimizer)
    return losses


@torch.no_grad()
def evaluate(data: str, **setup: Any) -> tuple[list[dict[str, Any]], Tensor, dict[str, float], dict[str, float]]:
    """What the network that `train` left predicts in the annotated boxes, with flip test.

    -> their results, the crops (N, 3, H, W) of these as normalised pixels, their ten numbers, and these from results
    without the key `bbox`.
    """
    config, model, _ = network(**setup)
    folder = Path(os.environ["BENCHMARK_FOLDER"])
    options = SimpleNamespace(flip_test=True, log=False, rank=0, world_size=1, work_dir=str(folder))
    to_coordinates = get_coord(config, config.DATA_PRESET.HEATMAP_SIZE)
    seen: list[Tensor] = []  # crops and mirrored crops by turns
    hook = model.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    with in_folder_with(data):  # they read ./data/coco
        rlepose.trainer.validate_gt(model, options, config, to_coordinates)
        hook.remove()
        results = json.loads((folder / "test_gt_kpt.json").read_text())
        as_they_are = evaluate_mAP(str(folder / "test_gt_kpt.json"), ann_type="keypoints")
        without = [{key: value for key, value in pose.items() if key != "bbox"} for pose in results]
        (folder / "without_bbox.json").write_text(json.dumps(without))
        without_bbox = evaluate_mAP(str(folder / "without_bbox.json"), ann_type="keypoints")
    return results, torch.cat(seen[::2]), as_they_are, without_bbox


if __name__ == "__main__":
    serve(globals())
