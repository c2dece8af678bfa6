"""The optimizer, AdamW with Muon for convolutions, and the moving average of the weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

MOMENTUM = 0.95
UPDATE_RMS = 0.2
"""Root mean square of AdamW's usual update, to which Muon's is scaled (Liu et al. 2025)."""
NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
"""Coefficients of the Newton-Schulz iteration (Jordan et al. 2024); singular values end between 0.7 and 1.2."""


class ConvolutionMuon(torch.optim.AdamW):
    """AdamW that updates the convolutions of groups with ``muon=True`` by Muon (Jordan et al. 2024).

    Muon orthogonalises the momentum of a weight matrix, so that a step is equally long in all directions. A
    convolution counts as a matrix of outputs x (inputs x kernel). Updates are scaled to the RMS of AdamW's (Liu et al.
    2025, "Muon is scalable for LLM training"), so learning rate and weight decay mean the same for both.

    PyTorch's own Muon takes matrices only, and two optimizers could not share one gradient scaler.
    """

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Do one iteration; returns the result of ``closure``, if there is one."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        taken: list[tuple[Tensor, Tensor]] = []
        for group in self.param_groups:
            by_shape: dict[torch.Size, list[tuple[Tensor, Tensor]]] = {}
            for weight in group["params"] if group.get("muon") else ():
                if weight.grad is not None and weight.dim() == 4:
                    by_shape.setdefault(weight.shape, []).append((weight, weight.grad))
                    # AdamW skips parameters without a gradient.
                    weight.grad = None
            for pairs in by_shape.values():
                self._update(pairs, group)
                taken += pairs
        super().step()
        for weight, gradient in taken:
            weight.grad = gradient
        return loss

    def _update(self, pairs: list[tuple[Tensor, Tensor]], group: dict[str, Any]) -> None:
        """Update weights of one shape, given with their gradients, in one batch: each alone is a dozen tiny kernels."""
        ahead: list[Tensor] = []
        for weight, gradient in pairs:
            state = self.state[weight]
            if not state:
                # AdamW's load_state_dict needs a step in every state.
                state.update(step=torch.tensor(0.0), momentum=torch.zeros_like(weight))
            momentum: Tensor = state["momentum"]
            momentum.lerp_(gradient, 1 - MOMENTUM)
            # Nesterov momentum.
            ahead.append(gradient.lerp(momentum, MOMENTUM).flatten(1))
        size = UPDATE_RMS * max(ahead[0].shape) ** 0.5
        for (weight, _), update in zip(pairs, orthogonalize(torch.stack(ahead)), strict=True):
            weight.mul_(1 - group["lr"] * group["weight_decay"])
            weight.add_(update.reshape(weight.shape), alpha=-group["lr"] * size)


def orthogonalize(matrices: Tensor, iterations: int = 5) -> Tensor:
    """Approximate semi-orthogonal factors of matrices (their polar factors), [k, m, n] to [k, m, n].

    By Newton-Schulz iterations: singular values above about a hundredth of a matrix's norm end between 0.7 and 1.2.
    """
    x = matrices / (matrices.norm(dim=(1, 2), keepdim=True) + 1e-7)
    if tall := x.shape[1] > x.shape[2]:
        x = x.mT
    # Each iteration multiplies x by a polynomial of x @ x.T. These polynomials commute, so that it is enough to iterate
    # on the small square matrices and to multiply x once.
    square = x @ x.mT
    one = torch.eye(square.shape[1], device=x.device, dtype=x.dtype)
    a, b, c = NEWTON_SCHULZ
    product = one
    for step in range(iterations):
        factor = torch.baddbmm(a * one + b * square, square, square, alpha=c)
        product = factor @ product if step else factor
        if step + 1 < iterations:
            square = factor @ square @ factor
    x = product @ x
    return x.mT if tall else x


class WeightAverage:
    """An exponential moving average of a model's weights; the average is what is validated and exported."""

    def __init__(self, model: nn.Module, decay: float = 0.999) -> None:
        self.decay = decay
        self.values = {name: value.detach().clone() for name, value in model.state_dict().items()}

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """Add the weights after iteration ``step``; the decay is lower at first, where the average knows little."""
        decay = min(self.decay, (1 + step) / (10 + step))
        means: list[Tensor] = []
        now: list[Tensor] = []
        for name, value in model.state_dict().items():
            if value.is_floating_point():
                means.append(self.values[name])
                now.append(value)
            else:
                self.values[name].copy_(value)
        # One call for all weights: on a GPU, one for each would be bound by kernel launches.
        get_ema_multi_avg_fn(decay)(means, now, None)
