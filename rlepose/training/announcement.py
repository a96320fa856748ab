"""What a run says of itself before its first step."""

import logging

from rlepose.config.config import Config
from rlepose.datasets.batches import TrainBatches
from rlepose.losses import Criterion
from rlepose.models.pose_model import PoseModel
from rlepose.pose.skeleton import Skeleton
from rlepose.runtime.distributed import Ranks
from rlepose.runtime.experiment import Experiment
from rlepose.runtime.precision import Precision

log = logging.getLogger(__name__)


def announce(
    config: Config,
    ranks: Ranks,
    batches: TrainBatches,
    validated_persons: int,
    skeleton: Skeleton,
    model: PoseModel,
    criterion: Criterion,
    precision: Precision,
) -> None:
    """Log the derived values of a run: a wrong one is seen here, not in tomorrow's AP."""
    if batches.batch_size < config.train.batch_size:
        log.warning(
            "only %d training persons: a step takes %d instead of train.batch_size=%d",
            batches.num_persons,
            batches.batch_size,
            config.train.batch_size,
        )
    log.info("experiment      %s", Experiment.of(config).folder)
    log.info(
        "device          %d × %s, backbone in %s: %s",
        *(ranks.world_size, ranks.device.type, precision.name, precision.reason),
    )
    log.info("persons         %d to train, %d to validate", batches.num_persons, validated_persons)
    log.info(
        "batch           %d = %d ranks × %d × %d accumulated; %d steps an epoch",
        batches.batch_size,
        ranks.world_size,
        batches.batch_size // ranks.world_size // config.train.accumulate,
        config.train.accumulate,
        len(batches),
    )
    log.info("joints          %d, of which %d pairs of left and right", len(skeleton), len(skeleton.flip_pairs))
    log.info(
        "model           %s, %.1f M parameters; loss %s, %.3f M parameters",
        config.model.backbone.name,
        sum(p.numel() for p in model.parameters()) / 1e6,
        config.loss.name,
        sum(p.numel() for p in criterion.parameters()) / 1e6,
    )
