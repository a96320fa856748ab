"""Run under torchrun: rank 1 never sees a labelled joint; all ranks must keep the same weights, flow included."""

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

from rlepose.config import SystemConfig
from rlepose.engine.distributed import ranks
from rlepose.engine.trainer import TrainStep
from rlepose.losses import RLE
from rlepose.models.backbones import Backbone
from rlepose.models.heads import RegressionHead
from rlepose.models.pose_model import PoseModel


def main() -> None:
    with ranks(SystemConfig(device="cpu")) as group:
        torch.manual_seed(group.rank)  # different weights to begin with: DDP takes rank 0's
        backbone = Backbone("convnext_atto")
        model = PoseModel(backbone, RegressionHead(sum(backbone.channels), 5), (0.5, 0.5, 0.5), (0.2, 0.2, 0.2))
        step = DistributedDataParallel(TrainStep(model, RLE()))
        optimizer = torch.optim.Adam(step.parameters(), lr=1e-3)
        start = torch.cat([p.detach().flatten() for p in step.module.criterion.parameters()]).clone()
        for _ in range(5):
            image = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
            target = torch.rand(2, 5, 2) - 0.5
            weight = torch.ones(2, 5, 2) if group.rank == 0 else torch.zeros(2, 5, 2)
            optimizer.zero_grad()
            step(image, target, weight).backward()
            optimizer.step()
        flat = torch.cat([p.detach().flatten() for p in step.parameters()])
        everyone = [torch.empty_like(flat) for _ in range(group.world_size)]
        dist.all_gather(everyone, flat)
        assert all(torch.equal(flat, other) for other in everyone), "the ranks drifted apart"
        moved = (torch.cat([p.detach().flatten() for p in step.module.criterion.parameters()]) - start).abs().max()
        if group.is_main:
            print(f"equal on {group.world_size} ranks; flow moved by {moved.item():.4f}")


if __name__ == "__main__":
    main()
