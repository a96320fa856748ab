"""The top-down task, in 2-D and 3-D: from the crop of one person to the pose."""

import torch
from torch import nn

from rlepose.config.config import Config
from rlepose.datasets.batches import TrainBatches
from rlepose.datasets.crops import BadImages
from rlepose.datasets.loading import make_loader
from rlepose.datasets.of_config import (
    labelled_table,
    persons_with_depth,
    training_dataset,
    use_crop_cache,
    with_bit_depth,
)
from rlepose.datasets.persons import PersonTable
from rlepose.losses import Criterion, build_criterion
from rlepose.models.pose_model import network_of
from rlepose.runtime.distributed import Ranks
from rlepose.runtime.precision import choose_precision
from rlepose.runtime.trained_model import TrainedModel
from rlepose.tasks.checks import check_batch, check_joints, check_mirroring, check_persons, check_selection
from rlepose.tasks.pose_task import PoseTask
from rlepose.tasks.top_down_checks import check_gradients, check_input_size, check_statistics
from rlepose.tasks.top_down_step import TopDownStep, check_compile
from rlepose.validation.validations import build_validation


class TopDown(PoseTask):
    """Crops of a config's training persons, backbone and head with the config's loss, and its validation.

    resume: a checkpoint will fill the network, so no pretrained weights are loaded. InputError for data and options
    that do not go together.
    """

    in_precision = "backbone"

    def __init__(self, config: Config, ranks: Ranks, resume: bool = False) -> None:
        labelled = labelled_table(config, "train")
        self.config = config = with_bit_depth(config, labelled[0])
        self.ranks = ranks
        check_batch(config, ranks.world_size)
        check_compile(config.system.compile, ranks.device)
        data, train = config.data, config.train
        self.validation = build_validation(config, "gt", ranks)
        self.dataset = training_dataset(config, labelled)
        self.skeleton, table = self.dataset.skeleton, self.dataset.table
        check_joints(data, self.skeleton, self.validation.evaluator)
        check_mirroring(config, self.skeleton)
        check_persons(data, table, self.validation)
        check_selection(config, self.validation.evaluator)
        use_crop_cache(self.dataset, config)
        count, divisor = persons_with_depth(table), ranks.world_size * train.accumulate
        self.order = TrainBatches(
            *(count, train.batch_size, train.seed, ranks.rank, ranks.world_size, divisor),
            num_extra=len(table) - count,
            weights=table.draw_weight,
        )
        system, pin_memory = config.system, ranks.device.type == "cuda"
        self.loader = make_loader(self.dataset, self.order, system.workers, pin_memory, system.worker_timeout_s)
        self._bad_images = BadImages(data.on_bad_image)
        torch.manual_seed(train.seed)  # the same initial weights on all ranks
        model = network_of(config, len(self.skeleton), pretrained=not resume).to(ranks.device)
        check_input_size(model, data.input_size_hw, ranks.device)
        check_statistics(model, data.input_size_hw, self.order.batch_size, divisor)
        if config.system.channels_last:
            model = model.to(memory_format=torch.channels_last)
        criterion = build_criterion(config.loss, len(self.skeleton), config.dims).to(ranks.device)
        check_gradients(config, model, criterion, len(self.skeleton), ranks.device)
        self.precision = choose_precision(config.system.precision, ranks.device, model)
        self.step = TopDownStep(model, criterion, self.precision.dtype, config.system.compile)

    @property
    def table(self) -> PersonTable:
        return self.dataset.table

    @property
    def network_name(self) -> str:
        return self.config.top_down.backbone.name

    def trained(self, model: nn.Module, criterion: Criterion) -> TrainedModel:
        return TrainedModel(model, criterion, self.config, self.skeleton, self.ranks.device)

    def note_problems(self, problems: list[str]) -> None:
        self._bad_images.check(problems)

    def report_problems(self) -> None:
        self._bad_images.report(self.ranks.gather(self._bad_images.state))
