"""Any timm model as a feature extractor."""

import difflib
from typing import Any

import torch
from torch import Tensor, nn

from rlepose.errors import InputError, first_line


class Backbone(nn.Module):
    """A timm model without its classifier.

    forward: image (B, 3, H, W), normalised -> list of feature maps (B, C_i, H_i, W_i), C_i being `channels[i]`.
    Most models give one map, their last. HRNet gives its four parallel branches, highest resolution first: each
    branch has exchanged with all others, and none is the last.

    name, pretrained, weights, options: as in `config.BackboneConfig`. Raises InputError for a model that timm does not
    know, wrong options, and weights that cannot be had.
    """

    def __init__(
        self,
        name: str,
        pretrained: bool = False,
        weights: str | None = None,
        options: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        import timm  # takes seconds, so only where a model is built

        if not timm.is_model(name):
            close = difflib.get_close_matches(name, timm.list_models(), n=1)
            hint = f"; did you mean {close[0]}?" if close else ""
            raise InputError(f"model.backbone.name: timm has no model '{name}'{hint}")
        arguments: dict[str, Any] = {"features_only": True, "out_indices": (-1,), **(options or {})}
        if name.startswith("hrnet"):
            # The default location 'incre' would widen the branches for classification; '' keeps 32/64/128/256.
            # Index 0 is the stem.
            arguments |= {"feature_location": "", "out_indices": (1, 2, 3, 4)}
        if weights is not None:
            arguments["pretrained_cfg_overlay"] = {"file": weights}
        try:
            self.features = timm.create_model(name, **arguments)
        except (TypeError, RuntimeError, ValueError) as error:
            raise InputError(f"model.backbone: timm cannot build '{name}' with {options or {}}: {error}") from error
        if pretrained:
            _load_pretrained(name, weights, arguments, self)
        self.channels: list[int] = list(self.features.feature_info.channels())
        # Swin and a few others give (B, H, W, C)
        self._channels_last_maps = getattr(self.features, "output_fmt", "NCHW") == "NHWC"

    def forward(self, image: Tensor) -> list[Tensor]:
        maps = self.features(image)
        if self._channels_last_maps:
            maps = [level.permute(0, 3, 1, 2) for level in maps]
        return list(maps)


def _load_pretrained(name: str, weights: str | None, arguments: dict[str, Any], backbone: Backbone) -> None:
    import timm

    source = timm.models.get_pretrained_cfg(name)
    address = f"https://huggingface.co/{source.hf_hub_id}" if source and source.hf_hub_id else "its home page"
    mend = (
        f"fetch the weights from {address} and pass --set model.backbone.weights=FILE, "
        "or start from random ones with --set model.backbone.pretrained=false"
    )
    try:
        trained_here = _backbone_of_checkpoint(weights)
        if trained_here is not None:
            backbone.load_state_dict(trained_here)
            return
        backbone.features = timm.create_model(name, pretrained=True, **arguments)
        if weights is not None:
            # timm loads feature extractors leniently: a file of another model leaves random weights, without a word.
            # What was loaded is equal the second time; what is random is not.
            again = timm.create_model(name, pretrained=True, **arguments).state_dict()
            random = [key for key, value in backbone.features.state_dict().items() if not again[key].equal(value)]
            if random:
                raise ValueError(f"it has no {random[0]}" + (f" and {len(random) - 1} others" if random[1:] else ""))
    except Exception as error:  # each of timm's loaders raises its own kinds
        if weights is not None:
            raise InputError(
                f"model.backbone.weights: {weights} does not hold weights of '{name}' ({first_line(error)}); {mend}"
            ) from error
        raise InputError(
            f"model.backbone.pretrained: cannot get weights of '{name}' ({first_line(error)}); {mend}"
        ) from error


def _backbone_of_checkpoint(weights: str | None) -> dict[str, Any] | None:
    """The backbone's weights in a checkpoint of this project; None for any other file."""
    if weights is None or not weights.endswith((".pt", ".pth")):
        return None
    tree = torch.load(weights, map_location="cpu", weights_only=True)
    if not isinstance(tree, dict) or not isinstance(tree.get("model"), dict) or "skeleton" not in tree:
        return None
    return {key.removeprefix("backbone."): value for key, value in tree["model"].items() if key.startswith("backbone.")}
