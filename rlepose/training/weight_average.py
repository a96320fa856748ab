"""The weights averaged over training, which often predict better than the last ones."""

from torch import nn


class WeightAverage:
    """An exponential moving average of model and criterion, their buffers included (Polyak and Juditsky 1992).

    decay: share of the average that a step leaves. In the first steps it is less, 1 − n^(−2/3) after n of them, so
    that the initial weights are soon forgotten.
    model, criterion: the average, in evaluation mode.
    """

    def __init__(self, model: nn.Module, criterion: nn.Module, decay: float) -> None:
        from timm.utils import ModelEmaV3  # takes seconds, so only where it is wanted

        self._trained = nn.ModuleDict({"model": model, "criterion": criterion})
        self._average = ModelEmaV3(self._trained, decay=decay, use_warmup=True)
        averaged = self._average.module
        self.model: nn.Module = averaged["model"]
        self.criterion: nn.Module = averaged["criterion"]

    def update(self, step: int) -> None:
        """Take in the weights after a step, the step-th of the run, counted from 1."""
        self._average.update(self._trained, step)
