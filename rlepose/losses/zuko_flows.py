"""Flows from the library zuko (https://zuko.readthedocs.io), an optional extra: pip install -e '.[zuko]'."""

from typing import Any, ClassVar

import torch
from torch import Tensor

from rlepose.errors import InputError
from rlepose.losses.coupling import ACTIVATIONS
from rlepose.losses.flows import Flow


class ZukoFlow(Flow):
    """An autoregressive flow from zuko.

    kind:  name of the class in zuko.flows.
    depth: number of transformations. width, activation: of the two hidden layers of their networks.
    base:  the density of z, a key of DENSITIES.

    Raises InputError if zuko is not installed.
    """

    kind: ClassVar[str]

    def __init__(
        self,
        dims: int = 2,
        depth: int = 6,
        width: int = 64,
        activation: str = "leaky_relu",
        base: str = "gaussian",
    ) -> None:
        super().__init__(dims, base)
        try:
            import zuko
        except ImportError as error:
            raise InputError(
                f"loss.flow.name: {self.kind.lower()} needs the zuko library; run pip install -e '.[zuko]', "
                "or set loss.flow.name=realnvp"
            ) from error
        self.lazy = getattr(zuko.flows, self.kind)(
            features=dims,
            transforms=depth,
            hidden_features=(width, width),
            activation=ACTIVATIONS[activation].module,
        )

    def _to_base(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return _apply(self.lazy().transform, x)

    def _to_data(self, z: Tensor) -> tuple[Tensor, Tensor]:
        return _apply(self.lazy().transform.inv, z)


class NSF(ZukoFlow):
    """Neural splines (Durkan et al., NeurIPS 2019), which transform [−5, 5] and are the identity outside."""

    kind = "NSF"


class MAF(ZukoFlow):
    """Affine maps (Papamakarios et al., NeurIPS 2017)."""

    kind = "MAF"


def _apply(transform: Any, points: Tensor) -> tuple[Tensor, Tensor]:
    # zuko rejects empty batches, which occur on a rank without labelled joints: add one row and drop it again.
    mapped, log_det = transform.call_and_ladj(torch.cat([points, points.new_zeros(1, points.shape[1])]))
    return mapped[:-1], log_det[:-1]
