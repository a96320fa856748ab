"""Convert checkpoints of other projects to this project's, with a matching config."""

import logging
import re
from pathlib import Path
from typing import Any

import numpy as np
import torch

from rlepose.config.config import Config
from rlepose.config.reading import config_from_dict
from rlepose.contents import foreign_content, head_of
from rlepose.convert.layouts import Converted, State, convert_state
from rlepose.datasets.formats.coco_file import CocoFile
from rlepose.errors import InputError, first_line
from rlepose.losses import Criterion, build_criterion
from rlepose.models.pose_model import build_model
from rlepose.pose.skeleton import COCO, H36M
from rlepose.runtime.checkpoint import Checkpoint, save_checkpoint
from rlepose.runtime.checkpoint_file import load_state

log = logging.getLogger(__name__)

# mmengine's `meta` contains NumPy arrays and numbers: plain data, which torch.load must be allowed to load. NumPy 1 and
# NumPy 2 use different names for the functions that create them.
_RECONSTRUCT: Any = np.zeros(1).__reduce__()[0]
_SCALAR: Any = np.float64(0).__reduce__()[0]
_NUMPY: list[Any] = [np.ndarray, np.dtype, *{type(np.dtype(code)) for code in "?bBhHiIlLqQefd"}]
_NUMPY += [
    (function, f"numpy.{core}.multiarray.{name}")
    for core in ("core", "_core")
    for function, name in ((_RECONSTRUCT, "_reconstruct"), (_SCALAR, "scalar"))
]


def convert_checkpoint(
    path: Path, out: Path, input_size_hw: tuple[int, int] | None = None, annotations: Path | None = None
) -> Checkpoint:
    """Write the checkpoint `out` from a file of the authors' code or of mmpose.

    Args:
        path: the file.
        out: the checkpoint to write.
        input_size_hw: height and width in px of the model's crops, which its file does not state; None for (256, 192),
            or (256, 256) in 3-D.
        annotations: COCO-format file with the model's joints; None for COCO's 17, or Human3.6M's 18 in 3-D.

    Raises InputError for other files, and for files with more than tensors and plain types, which could run code.
    """
    try:
        converted = convert_state(read_state(path))
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    if converted.dims == 3 and annotations is not None:
        raise InputError(f"--annotations: only for 2-D models, but {path} is 3-D; remove this option")
    where, known = ("COCO", COCO) if converted.dims == 2 else ("Human3.6M", H36M)
    where, skeleton = (where, known) if annotations is None else (str(annotations), CocoFile(annotations).skeleton())
    if len(skeleton) != converted.joints:
        raise InputError(
            f"{path}: has {converted.joints} joints, but {where} has {len(skeleton)}; pass a "
            "file of the model's data set with --annotations"
        )
    config = config_of(converted, out.stem, input_size_hw)
    model = build_model(config.top_down, len(skeleton), predict_sigma=True, pretrained=False, dims=config.dims)
    load_state(model, converted.model, "model", path)
    criterion = build_criterion(config.loss, len(skeleton), converted.dims)
    load_flows(criterion, converted, path)
    checkpoint = Checkpoint(
        config=config,
        skeleton=skeleton,
        model=model.state_dict(),
        criterion=criterion.state_dict(),
        progress={},
        metrics={},
        optimizer={},
        random_states=[],
        spread=criterion.residual_spread(len(skeleton)),
    )
    save_checkpoint(out, checkpoint)
    log.info("converted       %s, %s, %d joints", out, converted.backbone, converted.joints)
    return checkpoint


def read_state(path: Path) -> State:
    """Return the tensors of a file: a state dict, alone or under 'state_dict'. InputError for other files."""
    if not path.is_file():
        raise InputError("no such file; check the path")
    try:
        with torch.serialization.safe_globals(_NUMPY):
            tree: Any = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # unpickling a broken file can raise nearly anything
        found = foreign_content(head_of(path))
        if found is not None:
            raise InputError(f"no checkpoint: it is {found}") from error
        refused = re.search(r"Unsupported (?:global: GLOBAL|class) ([\w.]+)", str(error))
        raise InputError(
            f"contains more than tensors and plain types ({refused[0] if refused else first_line(error)}); "
            "loading it could run code, so if you trust the file, save only its weights where it was made, with "
            "python -c \"import torch; file = torch.load('FILE', map_location='cpu', weights_only=False); "
            "torch.save({'state_dict': file.get('state_dict', file)}, 'WEIGHTS')\""
        ) from error
    state = tree.get("state_dict", tree) if isinstance(tree, dict) else None
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise InputError("contains no state dict; expected tensors by name, alone or under 'state_dict'")
    return state


def config_of(converted: Converted, name: str, input_size_hw: tuple[int, int] | None) -> Config:
    """Return a config that matches a converted model's training; input_size_hw: None for the published models' size."""
    options = converted.options
    crops = options["data"] if input_size_hw is None else options["data"] | {"input_size_hw": list(input_size_hw)}
    tree = {
        "name": name,
        "data": {"num_keypoints": converted.joints, **crops},
        "model": {"backbone": {"name": converted.backbone}, **options["model"]},
        "loss": options["loss"],
    }
    return config_from_dict(tree, source=name)


def load_flows(criterion: Criterion, converted: Converted, path: Path) -> None:
    """Load the flow of each of the criterion's likelihoods."""
    state = {
        f"likelihoods.{i}.flows.flows.0.{name}": value
        for i, flow in enumerate(converted.flows)
        for name, value in flow.items()
    }
    load_state(criterion, state, "flow", path)
