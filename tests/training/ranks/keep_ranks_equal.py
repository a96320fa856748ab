"""Run under torchrun: rank 1 never sees a labelled joint, and has pictures of its own.

After training, all ranks must hold the same weights, flow included, and after a validation the same batch statistics.
Arguments: config file, then overrides.
"""

import dataclasses
import sys

import numpy as np
import torch
import torch.distributed as dist

from rlepose.config.reading import load_config
from rlepose.runtime.distributed import ranks
from tests.training.running import experiment_of, trainer_of


def main() -> None:
    config = load_config(sys.argv[1], sys.argv[2:])
    with ranks(config.system) as group:
        trainer = trainer_of(config, ranks=group)
        if group.rank == 1:
            table = trainer.task.dataset.table
            trainer.task.dataset.table = dataclasses.replace(table, visible=np.zeros_like(table.visible))

        def flows() -> torch.Tensor:
            return torch.cat([p.detach().flatten() for p in trainer.task.step.criterion.parameters()]).clone()

        before = flows()
        group.on_main(lambda: experiment_of(config).open(config, resume=False))
        trainer.fit()
        state = [*trainer.parameters, *trainer.task.step.model.buffers()]
        flat = torch.cat([tensor.detach().flatten().double() for tensor in state])
        everyone = [torch.empty_like(flat) for _ in range(group.world_size)]
        dist.all_gather(everyone, flat)
        assert all(torch.equal(flat, other) for other in everyone), "the ranks drifted apart"
        moved = (flows() - before).abs().max()
        if group.is_main:
            print(f"equal on {group.world_size} ranks; flow moved by {moved.item():.4f}")


if __name__ == "__main__":
    main()
