"""The optimizer: AdamW, and Muon for convolutions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

MOMENTUM = 0.95
SAME_SIZE = 0.2
"""Root mean square of AdamW's usual update, to which Muon's is scaled (Liu et al. 2025)."""
NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
"""Coefficients of the iteration, as Jordan et al. (2024) chose them: fast, and singular values end at 0.7 to 1.2."""


class ConvolutionMuon(torch.optim.AdamW):
    """AdamW whose groups with ``muon=True`` change convolutions by Muon (Jordan et al. 2024) and the rest by AdamW.

    Muon makes the momentum of a weight matrix orthogonal, so that a step moves all of its directions alike. A
    convolution is a matrix of outputs x (inputs x kernel). Updates have the size of AdamW's, as Liu et al. (2025,
    "Muon is scalable for LLM training") propose, so learning rate and weight decay mean the same for both.

    PyTorch's own Muon refuses what is no matrix, and two optimizers would not share one gradient scaler.
    """

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """One iteration; gives what ``closure`` gives, if there is one."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        taken: list[tuple[Tensor, Tensor]] = []
        for group in self.param_groups:
            alike: dict[torch.Size, list[tuple[Tensor, Tensor]]] = {}
            for weight in group["params"] if group.get("muon") else ():
                if weight.grad is not None and weight.dim() == 4:
                    alike.setdefault(weight.shape, []).append((weight, weight.grad))
                    # AdamW passes over what has no gradient.
                    weight.grad = None
            for pairs in alike.values():
                self._change(pairs, group)
                taken += pairs
        super().step()
        for weight, gradient in taken:
            weight.grad = gradient
        return loss

    def _change(self, pairs: list[tuple[Tensor, Tensor]], group: dict[str, Any]) -> None:
        """Change weights of one shape by their gradients; all at once, since each is a dozen tiny operations."""
        ahead: list[Tensor] = []
        for weight, gradient in pairs:
            state = self.state[weight]
            if not state:
                # AdamW asks for a step of every weight that has a state, when one is loaded.
                state.update(step=torch.tensor(0.0), momentum=torch.zeros_like(weight))
            momentum: Tensor = state["momentum"]
            momentum.lerp_(gradient, 1 - MOMENTUM)
            # Nesterov's: a look ahead from this gradient.
            ahead.append(gradient.lerp(momentum, MOMENTUM).flatten(1))
        size = SAME_SIZE * max(ahead[0].shape) ** 0.5
        for (weight, _), update in zip(pairs, orthogonal(torch.stack(ahead)), strict=True):
            weight.mul_(1 - group["lr"] * group["weight_decay"])
            weight.add_(update.reshape(weight.shape), alpha=-group["lr"] * size)


def orthogonal(matrices: Tensor, iterations: int = 5) -> Tensor:
    """Nearly the nearest matrices with orthonormal rows or columns, whichever are fewer: [k, m, n] to the same.

    By Newton-Schulz iterations: singular values of a hundredth of a matrix's norm and more come to about 0.7 to 1.2.
    """
    x = matrices / (matrices.norm(dim=(1, 2), keepdim=True) + 1e-7)
    if tall := x.shape[1] > x.shape[2]:
        x = x.mT
    # Every iteration multiplies by a polynomial of x @ x.T, and all of these commute: only small squares are
    # iterated on, instead of x itself.
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
