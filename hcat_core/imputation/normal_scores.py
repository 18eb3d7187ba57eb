"""Normal scores: a monotone map of each skewed or discrete feature to a normal variable, and back.

An imputer that assumes normal cells then imputes a Gaussian copula (Liu, Lafferty and Wasserman 2009, "The
nonparanormal"; ties as in Hoff 2007), whose predictions, mapped back, stay within what was seen.
Axes: N patients, M modalities, D cells of the widest one, C features without padding, F curved ones, K
knots.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy.special import ndtr, ndtri
from torch import Tensor

from hcat_core.cohort import Cohort
from hcat_core.layout import Layout

KNOTS = 40  # of each curved feature: its quantiles at equally spaced scores, or up to 20 values
NEAR_NORMAL = 0.985  # correlation with normal scores from which a feature is left as it is
FEWEST_VALUES = 20  # measured cells of a feature from which its distribution is estimated
MOST_PATIENTS = 5000  # from whom distributions are estimated; more would change no knot visibly
LEAST_SHARE = 0.25  # of its training frequency, that a value of a two-valued feature is predicted with


@dataclass(frozen=True)
class NormalScores:
    """Monotone maps of curved features to scores; the other features keep their standardised values.

    Curved features are those whose values correlate less than ``NEAR_NORMAL`` with normal scores. The score
    of a value is its quantile of the standard normal distribution; that of a value which several patients
    have is the mean over their quantiles. Scores have mean 0 and variance 1 in training patients, as
    imputers expect. Back from a normal variable to values, the map is a step function for a feature with
    few values, and else piecewise linear; it never leaves the range of training patients.

    A feature with two values is left as it is, too: its imputed mean is the probability of the higher one.

    Attributes:
        cell: (C,) places of the features in (M, D) flattened, without padding.
        feature: (F,) which of the C features are curved.
        value: (F, K) knots, ascending.
        quantile: (F, K) standard normal quantiles of the knots, ascending; equal at a jump.
        score: (F, K) of each knot.
        low, high: (C,) range of training patients; -inf and inf where a feature was never measured.
        frequency: (C,) of the higher value of a feature with two, in training patients; 0 for others.
    """

    cell: Tensor
    feature: Tensor
    value: Tensor
    quantile: Tensor
    score: Tensor
    low: Tensor
    high: Tensor
    frequency: Tensor

    @classmethod
    def linear(cls, layout: Layout) -> NormalScores:
        """The map that leaves every feature of a layout as it is."""
        cell = layout.cells.flatten().nonzero().squeeze(1)
        nothing, limit = torch.zeros((0, KNOTS)), torch.full(cell.shape, torch.inf)
        features = torch.zeros(0, dtype=torch.long)
        return cls(cell, features, nothing, nothing, nothing, -limit, limit, torch.zeros(cell.shape))

    @classmethod
    def fit(cls, train: Cohort) -> NormalScores:
        """The maps of training patients, standardised cells."""
        train = train.to("cpu")
        plain = cls.linear(train.layout)
        cells, measured = (part.flatten(1)[:, plain.cell] for part in (train.emb, train.measured))
        low, high = (end.flatten()[plain.cell] for end in train.extremes())
        binary = train.two_valued().flatten()[plain.cell] & (low < high)
        share = ((cells == high) & measured).sum(dim=0) / measured.sum(dim=0).clamp_min(1)
        plain = replace(
            plain,
            low=torch.where(low <= high, low, plain.low),
            high=torch.where(low <= high, high, plain.high),
            frequency=torch.where(binary, share, 0.0),
        )
        step = max(1, -(-len(train) // MOST_PATIENTS))
        rows, seen = cells[::step].numpy(), measured[::step].numpy()
        found = []
        for feature in (~binary).nonzero().squeeze(1).tolist():
            values = np.sort(rows[seen[:, feature], feature].astype(np.float64))
            if len(values) >= FEWEST_VALUES and _is_curved(values):
                found.append((feature, *_knots(values)))
        if not found:
            return plain
        features, *tables = zip(*found, strict=True)
        value, quantile, score = (torch.from_numpy(np.stack(table)).float() for table in tables)
        return replace(plain, feature=torch.tensor(features), value=value, quantile=quantile, score=score)

    def to(self, device: torch.device) -> NormalScores:
        """The same maps on a device."""
        return NormalScores(**{name: tensor.to(device) for name, tensor in vars(self).items()})

    def apply(self, cohort: Cohort) -> Cohort:
        """The cohort with scores in place of the values of curved features; cells not measured stay 0."""
        if not len(self.feature):
            return cohort
        x = self._columns(cohort.emb.flatten(1)[:, self.cell])
        place = torch.searchsorted(self.value, x, right=True).clamp(1, KNOTS - 1)
        score = _between(self.value, self.score, x, place).T
        emb = cohort.emb.flatten(1).index_copy(1, self.cell[self.feature], score)
        return replace(cohort, emb=emb.reshape(cohort.emb.shape).masked_fill_(~cohort.measured, 0.0))

    def latent_range(self, cohort: Cohort) -> tuple[Tensor, Tensor]:
        """Ends (N, C) of the normal variable for which ``values`` gives the cohort's cells.

        Both are equal for a value that one quantile alone has, and infinite at an end of the range.
        """
        cells = cohort.emb.flatten(1)[:, self.cell]
        lower, upper = cells.clone(), cells.clone()
        if len(self.feature):
            x = self._columns(cells)
            for ends, right in ((lower, False), (upper, True)):
                place = torch.searchsorted(self.value, x, right=right).clamp(1, KNOTS - 1)
                ends[:, self.feature] = _between(self.value, self.quantile, x, place).T
        lower = torch.where(cells <= self.low, -torch.inf, lower)
        return lower, torch.where(cells >= self.high, torch.inf, upper)

    def values(self, latent: Tensor) -> Tensor:
        """(..., C) values of normal variables, within the range of training patients."""
        inside = torch.minimum(torch.maximum(latent, self.low), self.high)
        if not len(self.feature):
            return inside
        s = latent.flatten(0, -2)[:, self.feature].T.contiguous()
        place = torch.searchsorted(self.quantile, s, right=True).clamp(1, KNOTS - 1)
        curved = _between(self.quantile, self.value, s, place).T
        return inside.index_copy(-1, self.feature, curved.reshape(*latent.shape[:-1], -1))

    def two_values(self) -> tuple[Tensor, Tensor]:
        """(C,) lower value and difference of features with two values; 0 and 1 of others."""
        binary = self.frequency > 0
        return torch.where(binary, self.low, 0.0), torch.where(binary, self.high - self.low, 1.0)

    def probability(self, mean: Tensor) -> Tensor:
        """(N, C) probabilities of the higher of two values, for means; a half where a feature has others.

        Means that no probability has, and those nearly so, become a quarter of the value's frequency.
        """
        low, width = self.two_values()
        least, most = LEAST_SHARE * self.frequency, 1 - LEAST_SHARE * (1 - self.frequency)
        share = torch.minimum(torch.maximum((mean - low) / width, least), most)
        return torch.where(self.frequency > 0, share, 0.5)

    def _columns(self, cells: Tensor) -> Tensor:
        """(F, N) cells of curved features, of (N, C), within the range of their knots."""
        x = cells[:, self.feature].T.contiguous()
        return torch.minimum(torch.maximum(x, self.value[:, :1]), self.value[:, -1:])


def _between(at: Tensor, result: Tensor, x: Tensor, place: Tensor) -> Tensor:
    """(F, N) linear interpolation between the knots ``place`` - 1 and ``place`` of each row."""
    left, right = at.gather(1, place - 1), at.gather(1, place)
    width = right - left
    share = torch.where(width > 0, (x - left) / torch.where(width > 0, width, 1.0), 0.0).clamp(0, 1)
    before = result.gather(1, place - 1)
    # Where two knots have one place, the values of both are equal, or x is at an end.
    return before + share * (result.gather(1, place) - before)


def _is_curved(values: np.ndarray) -> bool:
    """Whether sorted values differ visibly from normal ones (Filliben's correlation, 1975)."""
    if values[0] == values[-1]:
        return False
    n = len(values)
    expected = ndtri((np.arange(1, n + 1) - 0.375) / (n + 0.25))
    return bool(np.corrcoef(values, expected)[0, 1] < NEAR_NORMAL)


def _knots(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Values, quantiles and scores (K,) of the knots of one feature's sorted values."""
    n = len(values)
    distinct, count = np.unique(values, return_counts=True)
    widest = ndtri(1 - 0.5 / n)
    if 2 * len(distinct) <= KNOTS:
        jumps = ndtri(count.cumsum()[:-1] / n)
        value = np.repeat(distinct, 2)
        quantile = np.concatenate([[-widest], np.repeat(jumps, 2), [widest]])
        padding = KNOTS - len(value)
        value, quantile = np.pad(value, (0, padding), "edge"), np.pad(quantile, (0, padding), "edge")
    else:
        quantile = np.linspace(-widest, widest, KNOTS)
        value = np.quantile(values, ndtr(quantile), method="hazen")
        value[0], value[-1] = values[0], values[-1]
    score = _scores(value, quantile)
    of_patients = np.interp(values, *_without_ties(value, score))
    return value, quantile, (score - of_patients.mean()) / of_patients.std()


def _scores(value: np.ndarray, quantile: np.ndarray) -> np.ndarray:
    """Each knot's quantile; for knots of one value, the mean of a normal variable between their ends."""
    score = quantile.copy()
    for one in np.unique(value):
        run = np.flatnonzero(value == one)
        if len(run) > 1:
            a = -np.inf if run[0] == 0 else quantile[run[0]]
            b = np.inf if run[-1] == len(value) - 1 else quantile[run[-1]]
            density = [np.exp(-0.5 * end**2) / np.sqrt(2 * np.pi) for end in (a, b)]
            score[run] = (density[0] - density[1]) / max(ndtr(b) - ndtr(a), 1e-9)
    return score


def _without_ties(value: np.ndarray, score: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    _, first = np.unique(value, return_index=True)
    return value[first], score[first]
