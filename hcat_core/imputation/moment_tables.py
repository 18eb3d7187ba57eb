"""Mean and standard deviation of the values that a normal variable stands for, read from tables.

Both are integrals over a feature's map. A training step needs them for every imputed cell, so they are
computed once on a grid of means and standard deviations, and interpolated. F curved features.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from hcat_core.imputation.normal_scores import NormalScores
from hcat_core.imputation.residual_quantiles import bend, normal_quantiles

MOST_MEAN, MEANS = 4.0, 33  # the grid of means goes from -4 to 4
MOST_STD, STDS = 2.0, 11  # that of standard deviations from 0 to 2
LEAST_STD = 1e-4


@dataclass(frozen=True)
class MomentTable:
    """Moments of curved features, for means and standard deviations of the normal variable.

    Attributes:
        mean, std: (F, MEANS, STDS).
    """

    mean: Tensor
    std: Tensor

    @classmethod
    def of(cls, scores: NormalScores, quantiles: Tensor | None = None) -> MomentTable:
        """The table of a map.

        Each piece of the map between two knots counts as a jump at its middle, blurred by its width.

        Args:
            scores: with F curved features.
            quantiles: (F, L) of the variable's residuals; None where it is normal.
        """
        device = scores.value.device
        mu = torch.linspace(-MOST_MEAN, MOST_MEAN, MEANS, device=device).view(-1, 1, 1)
        sigma = torch.linspace(0, MOST_STD, STDS, device=device).view(-1, 1)
        width = scores.quantile[:, 1:] - scores.quantile[:, :-1]
        middle = (scores.quantile[:, 1:] + scores.quantile[:, :-1]) / 2
        centred = scores.value - scores.value[:, :1]
        first = torch.zeros((MEANS, STDS, len(centred)), device=device)
        second = torch.zeros_like(first)
        for k in range(width.shape[1]):
            z = (middle[:, k] - mu) / (sigma.square() + width[:, k].square() / 12 + 1e-8).sqrt()
            if quantiles is not None:
                z = bend(z, quantiles, normal_quantiles().to(device))
            above = torch.special.ndtr(-z)
            first += (centred[:, k + 1] - centred[:, k]) * above
            second += (centred[:, k + 1].square() - centred[:, k].square()) * above
        std = (second - first.square()).clamp_min(LEAST_STD**2).sqrt()
        mean = first + scores.value[:, 0]
        return cls(mean.movedim(-1, 0).contiguous(), std.movedim(-1, 0).contiguous())

    def read(self, mean: Tensor, std: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation (N, F) of values, by bilinear interpolation.

        Args:
            mean: (N, F) of the normal variable.
            std: (N, F) of the normal variable.
        """
        x = ((mean + MOST_MEAN) * ((MEANS - 1) / (2 * MOST_MEAN))).clamp(0, MEANS - 1)
        y = (std * ((STDS - 1) / MOST_STD)).clamp(0, STDS - 1)
        i, j = x.detach().floor().clamp_max(MEANS - 2), y.detach().floor().clamp_max(STDS - 2)
        feature = torch.arange(len(self.mean), device=mean.device)
        corner = (feature * MEANS + i.long()) * STDS + j.long()
        right, up = x - i, y - j
        weights = ((1 - right) * (1 - up), (1 - right) * up, right * (1 - up), right * up)
        places = (corner, corner + 1, corner + STDS, corner + STDS + 1)
        corners = list(zip(places, weights, strict=True))
        mean_of_values, std_of_values = (
            torch.stack([table.take(place) * weight for place, weight in corners]).sum(dim=0)
            for table in (self.mean, self.std)
        )
        return mean_of_values, std_of_values
