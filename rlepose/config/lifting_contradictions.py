"""What is wrong with a config that trains a lifting network."""

from collections.abc import Iterator

from rlepose.config.config import Config
from rlepose.config.names import changed_options

# Of the sections that tasks share, the options that lifting reads.
_READ = {
    "data": {
        "root",
        "format",
        "train_annotations",
        "train_images",
        "val_annotations",
        "val_images",
        "num_keypoints",
    },
    "augment": {"flip_prob"},
    "eval": {"batch_size", "flip_test", "pictures"},
}
_UNREAD = {"loss.hidden_weight", "loss.outside_weight", "loss.root_depth"}


def lifting_contradictions(config: Config) -> Iterator[tuple[str, str]]:
    """Each contradiction between lifting and other options: as `contradictions`."""
    for name in changed_options(config):
        section, _, option = name.partition(".")
        if name in _UNREAD or (section in _READ and option not in _READ[section]):
            yield name, "lifting (model.name) sees labelled joints and no pictures, and does not read it; leave it out"
    if config.system.compile != "none":
        yield "system.compile", f"{config.system.compile} is for networks of pictures, not for lifting; leave it out"
