"""Find contradictions in the config of a lifting network."""

from collections.abc import Iterator

from rlepose.config.config import Config
from rlepose.config.names import changed_options

# Options that lifting reads, in the sections that tasks share.
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
_UNREAD = {"loss.hidden_weight", "loss.outside_weight", "loss.category_weights", "loss.root_depth"}


def lifting_contradictions(config: Config) -> Iterator[tuple[str, str]]:
    """Yield each contradiction between lifting and other options, as in `contradictions`."""
    for name in changed_options(config):
        section, _, option = name.partition(".")
        if name in _UNREAD or (section in _READ and option not in _READ[section]):
            yield name, "is not used with model.name=lifting, which reads labelled joints and no pictures; remove it"
    if config.system.compile != "none":
        yield "system.compile", f"{config.system.compile} is not supported with model.name=lifting; remove it"
