"""What a run needs to be true before its first step, beyond what one config can show."""

from rlepose.config import DataConfig, TrainConfig
from rlepose.datasets.coco_file import CocoFile
from rlepose.engine.validator import Validator
from rlepose.errors import InputError
from rlepose.skeleton import Skeleton


def check_batch(train: TrainConfig, world_size: int) -> None:
    """InputError where a batch cannot be divided among ranks and accumulated parts."""
    if train.batch_size % (world_size * train.accumulate):
        raise InputError(
            f"train.batch_size: {train.batch_size} does not divide by {world_size} ranks × train.accumulate="
            f"{train.accumulate}; choose a multiple of {world_size * train.accumulate}"
        )


def check_joints(data: DataConfig, coco: CocoFile, skeleton: Skeleton, validator: Validator) -> None:
    """InputError where the training file has other joints than the config or the validation file."""
    if data.num_keypoints is not None and data.num_keypoints != len(skeleton):
        raise InputError(
            f"data.num_keypoints: {data.num_keypoints} joints are asked for but {coco.path} has {len(skeleton)}: "
            f"{', '.join(skeleton.names)}; correct it or set it to null"
        )
    if validator.skeleton.names != skeleton.names:
        raise InputError(
            f"{validator.coco.path}: its joints ({', '.join(validator.skeleton.names)}) are not those of "
            f"{coco.path} ({', '.join(skeleton.names)}); both files must list the same joints in one order"
        )
