"""The affine couplings of RealNVP with few operators and an explicit backward pass.

On a GPU, the cost of an operator here is its launch, not its arithmetic, and separate networks, masks and sums under
autograd take about 70 operators per coupling. Here, one batched product evaluates both networks of a coupling, the
masks are already in the weights (see `RealNVP`), and points are columns, (D, N), so that no weight is transposed and
each row is contiguous.

A coupling computes r and n from its input x with two networks. With u = tanh(r),

    to normal:   x -> y = (x + n) e,        e = exp(−bound u),   log |det| = −bound Σ u
    to data:     x -> y − n with y = x e,   e = exp(+bound u),   log |det| = +bound Σ u

Let g be the gradient of the output and g_u that of Σ u. Then, with ± as in e, the gradients are

    of x:  g e, plus the gradient through the networks
    of n:  g e  to normal,  −g to data
    of r:  (g_u ± bound g y) (1 − u²)

A linear layer a = W h + b passes its gradient d on as usual: d hᵀ to W, Σ d to b, Wᵀ d to h.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

_aten = torch.ops.aten


class Activation(NamedTuple):
    """An activation: its module, a function that may overwrite its input, and its gradient."""

    module: type[nn.Module]
    apply: Callable[[Tensor], Tensor]
    backward: Callable[[Tensor, Tensor], Tensor]
    """(gradient of the output, output or, if `of_input`, input) -> gradient of the input"""
    of_input: bool = False


ACTIVATIONS = {
    "leaky_relu": Activation(
        nn.LeakyReLU, nn.functional.leaky_relu_, lambda d, h: _aten.leaky_relu_backward(d, h, 0.01, True)
    ),
    "relu": Activation(nn.ReLU, torch.relu_, lambda d, h: _aten.threshold_backward(d, h, 0)),
    "silu": Activation(nn.SiLU, nn.functional.silu, _aten.silu_backward, of_input=True),
    "tanh": Activation(nn.Tanh, torch.tanh_, _aten.tanh_backward),
}


class Couplings(torch.autograd.Function):
    """Map points x (D, N) through all couplings: y (D, N), and Σ u over couplings and coordinates (N,).

    layers: W and b of the first, second and last layer, each (depth, 2, …), in the order r's network, n's network.
    to_data: the inverse map, last coupling first. keep: whether to save tensors for one backward pass.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, to_data: bool, activation: Activation, bound: float, keep: bool, *layers: Tensor
    ) -> tuple[Tensor, Tensor]:
        first, first_bias, second, second_bias, last, last_bias = layers
        depth, _, width, _ = first.shape
        sign = 1 if to_data else -1
        kept = []
        scales = x.new_empty(depth, *x.shape)
        for i in range(depth)[::-sign]:
            a1 = torch.addmm(first_bias[i].view(-1, 1), first[i].flatten(0, 1), x).view(2, width, -1)
            h1 = activation.apply(a1)
            a2 = torch.baddbmm(second_bias[i].unsqueeze(2), second[i], h1)
            h2 = activation.apply(a2)
            r, n = torch.baddbmm(last_bias[i].unsqueeze(2), last[i], h2).unbind()
            u = torch.tanh(r, out=scales[i])
            e = torch.exp(u * (sign * bound))
            y = x * e if to_data else (x + n) * e
            if keep:
                kept += [x, *((a1, a2) if activation.of_input else (h1, h2)), u, e, y]
            x = y - n if to_data else y
        ctx.save_for_backward(first, second, last, *kept)
        ctx.to_data, ctx.activation, ctx.factor = to_data, activation, sign * bound
        return x, scales.sum((0, 1))

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, g: Tensor, g_u: Tensor) -> tuple[Tensor | None, ...]:
        first, second, last, *kept = ctx.saved_tensors
        to_first, to_second, to_last = torch.empty_like(first), torch.empty_like(second), torch.empty_like(last)
        to_first_bias, to_second_bias = torch.empty_like(first[..., 0]), torch.empty_like(second[..., 0])
        depth = len(first)
        to_r, to_n = (to_rn := g.new_empty(depth, 2, *g.shape)).unbind(1)
        activation = ctx.activation
        for i in range(depth) if ctx.to_data else range(depth)[::-1]:
            x, k1, k2, u, e, y = kept[-6:]
            del kept[-6:]
            h1, h2 = (activation.apply(k1), activation.apply(k2)) if activation.of_input else (k1, k2)
            _aten.tanh_backward.grad_input(torch.addcmul(g_u, g, y, value=ctx.factor), u, grad_input=to_r[i])
            to_x = g * e if ctx.to_data else torch.mul(g, e, out=to_n[i])
            if ctx.to_data:
                torch.neg(g, out=to_n[i])
            d = to_rn[i]
            torch.bmm(d, h2.mT, out=to_last[i])
            d = activation.backward(torch.bmm(last[i].mT, d), k2)
            torch.bmm(d, h1.mT, out=to_second[i])
            torch.sum(d, 2, out=to_second_bias[i])
            d = activation.backward(torch.bmm(second[i].mT, d), k1)
            torch.sum(d, 2, out=to_first_bias[i])
            d = d.flatten(0, 1)
            torch.mm(d, x.mT, out=to_first[i].flatten(0, 1))
            g = torch.addmm(to_x, first[i].flatten(0, 1).mT, d)
        return g, None, None, None, None, to_first, to_first_bias, to_second, to_second_bias, to_last, to_rn.sum(3)
