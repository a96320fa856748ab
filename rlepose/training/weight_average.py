"""A moving average of the weights over training, which often predicts better than the last weights."""

from torch import nn


class WeightAverage:
    """An exponential moving average of model and criterion, including buffers (Polyak and Juditsky 1992).

    decay: fraction of the average that a step keeps. At first it is less, 1 − n^(−2/3) after n steps, so that the
    initial weights are soon forgotten.
    model, criterion: the average, in evaluation mode.
    """

    def __init__(self, model: nn.Module, criterion: nn.Module, decay: float) -> None:
        from timm.utils import ModelEmaV3  # takes seconds, so imported only if used

        self._trained = nn.ModuleDict({"model": model, "criterion": criterion})
        self._average = ModelEmaV3(self._trained, decay=decay, use_warmup=True)
        averaged = self._average.module
        self.model: nn.Module = averaged["model"]
        self.criterion: nn.Module = averaged["criterion"]

    def update(self, step: int) -> None:
        """Add the weights after a step. step: number of the step in the run, from 1."""
        self._average.update(self._trained, step)
