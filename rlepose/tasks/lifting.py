"""The lifting task: from one person's 2-D pose to joints in 3-D. It needs labels, but no pictures."""

import torch
from torch import nn

from rlepose.config.config import Config
from rlepose.datasets.batches import TrainBatches
from rlepose.datasets.formats.h36m_npz import read_h36m
from rlepose.datasets.lifted_poses import LiftedPoses, make_lifting_loader
from rlepose.datasets.lifting_codec import LIFTED_SKELETON
from rlepose.datasets.loss_weights import joint_factors
from rlepose.datasets.of_config import training_files
from rlepose.datasets.persons import PersonTable
from rlepose.errors import InputError
from rlepose.losses import Criterion
from rlepose.models.lifting_net import lifting_network
from rlepose.pose.skeleton import H36M
from rlepose.runtime.distributed import Ranks
from rlepose.runtime.precision import choose_precision
from rlepose.runtime.trained_lifter import TrainedLifter, lifting_criterion
from rlepose.tasks.checks import check_batch, check_joints, check_persons, check_selection
from rlepose.tasks.lifting_step import LiftingStep
from rlepose.tasks.pose_task import PoseTask
from rlepose.validation.validations import build_validation


class Lifting(PoseTask):
    """Labelled joints of a config's training persons, a lifting network with the config's loss, and its validation.

    resume: a checkpoint will fill the network; no effect in this task. InputError for data and options that do not go
    together.
    """

    in_precision = "trunk"

    def __init__(self, config: Config, ranks: Ranks, resume: bool = False) -> None:
        self.config = config
        self.ranks = ranks
        self.skeleton = H36M
        check_batch(config, ranks.world_size)
        data, train = config.data, config.train
        self.validation = build_validation(config, "gt", ranks)
        table = read_h36m(*training_files(data)[0])
        check_joints(data, self.skeleton, self.validation.evaluator)
        check_persons(data, table, self.validation)
        check_selection(config, self.validation.evaluator)
        joint_weights = joint_factors(config.loss.joint_weights, LIFTED_SKELETON)
        self.dataset = LiftedPoses(table, config.augment.flip_prob, train.seed, joint_weights)
        divisor = ranks.world_size * train.accumulate
        self.order = TrainBatches(len(table), train.batch_size, train.seed, ranks.rank, ranks.world_size, divisor)
        _check_statistics(self.order.batch_size, divisor)
        self.loader = make_lifting_loader(self.dataset, self.order, ranks.device.type == "cuda")
        torch.manual_seed(train.seed)  # the same initial weights on all ranks
        model = lifting_network(config)
        model.normalize_by(self.dataset.inputs)
        criterion = lifting_criterion(config.loss)
        self.precision = choose_precision(config.system.precision, ranks.device, model)
        self.step = LiftingStep(model.to(ranks.device), criterion.to(ranks.device), self.precision.dtype)

    @property
    def table(self) -> PersonTable:
        return self.dataset.table

    @property
    def network_name(self) -> str:
        return f"lifting network for labelled joints of {self.config.data.format}"

    def trained(self, model: nn.Module, criterion: Criterion) -> TrainedLifter:
        return TrainedLifter(model, criterion, self.config, self.ranks.device)

    def note_problems(self, problems: list[str]) -> None:
        """Do nothing: labels have no problems."""

    def report_problems(self) -> None:
        """Do nothing: labels have no problems."""


def _check_statistics(batch_size: int, divisor: int) -> None:
    """Raise InputError if a rank computes batch statistics of a single pose. divisor: ranks × accumulated parts."""
    if batch_size < 2 * divisor:
        raise InputError(
            f"train.batch_size: {batch_size} poses, divided by ranks × train.accumulate = {divisor}, leave one pose at "
            "a time, too few for batch normalisation; set it so that 2 or more are left"
        )
