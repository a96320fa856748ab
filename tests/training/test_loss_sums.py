import pytest
import torch

from rlepose.runtime.distributed import Ranks
from rlepose.training.loss_sums import LossSums


def test_a_step_of_two_ranks_is_one_step_whose_loss_is_their_mean(monkeypatch: pytest.MonkeyPatch) -> None:
    others = torch.tensor([2.0 + 4.0, 2])  # the sum of the other rank's losses, and its steps taken
    monkeypatch.setattr(Ranks, "sum", lambda _, tensor: tensor + others)
    losses = LossSums(Ranks(0, 2, torch.device("cpu")))
    for loss, taken in ((1.0, 1), (3.0, 1), (0.0, 0)):
        losses.add(torch.tensor([loss, taken]))
    assert losses.end_interval() == (1.5 + 3.5, 2, 3, {})
    assert losses.epoch_mean() == 2.5
