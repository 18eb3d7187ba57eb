"""How a search chooses the values of its trials: Optuna's samplers, asked and told in a fixed order.

The choice depends on the seed, on the scores of earlier rounds and on nothing else: not on how many
processes work, and not on an interruption, after which it is made again from the scores that are kept.
"""

from __future__ import annotations

import contextlib
import math
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from hcat_core.errors import RecipeError, UsageError
from hcat_core.experiments.tune.space import Dimension, SearchSpace, on_one_line
from hcat_core.recipe.recipe import Recipe
from hcat_core.recipe.search_tables import TuneTable

if TYPE_CHECKING:
    import optuna

DIGITS = 4  # significant ones of a drawn number, so that a recipe can be read
MOST_DRAWS = 30  # for one trial, of values that were tried before or that do not go together
FEWEST_FOR_IMPORTANCE = 10  # scored trials


def require_optuna() -> None:
    """Fail early where Optuna is not installed.

    Raises:
        UsageError: then.
    """
    try:
        import optuna  # noqa: F401
    except ImportError:
        raise UsageError('hcat tune needs Optuna: pip install "hcat-core[tune]"') from None


class TrialSampler:
    """Chooses the trials of one search.

    Args:
        space: what may be chosen.
        tune: the sampler, and how many trials are drawn at random.
        seed: of the draws.
    """

    def __init__(self, space: SearchSpace, tune: TuneTable, seed: int) -> None:
        import optuna

        self.space = space
        self.refused = 0  # draws whose values do not go together
        self._asked: dict[int, optuna.trial.Trial] = {}
        self._tried: set[str] = set()
        with _quiet():
            sampler: optuna.samplers.BaseSampler
            if tune.sampler == "random":
                sampler = optuna.samplers.RandomSampler(seed=seed)
            else:
                sampler = optuna.samplers.TPESampler(
                    seed=seed, n_startup_trials=tune.random_trials, multivariate=False, constant_liar=True
                )
            self._study = optuna.create_study(sampler=sampler, direction="maximize")

    def ask(self, number: int) -> tuple[dict[str, object], Recipe]:
        """Values for a trial, and the recipe with them.

        What was tried before, and what the recipe refuses, is drawn again; where no draw gives anything
        new, an earlier trial is repeated.

        Args:
            number: by which its score is told.

        Raises:
            UsageError: where the recipe refuses all draws.
        """
        repeated: dict[str, object] | None = None
        refusal = ""
        for _ in range(MOST_DRAWS):
            trial, settings = self._draw()
            if on_one_line(settings) in self._tried:
                repeated = settings
                self._tell(trial, None)
                continue
            try:
                recipe = self.space.recipe(settings)
            except RecipeError as error:
                refusal = str(error)
                self.refused += 1
                self._tell(trial, None)
                continue
            self._tried.add(on_one_line(settings))
            self._asked[number] = trial
            return settings, recipe
        if repeated is not None:
            return repeated, self.space.recipe(repeated)
        raise UsageError(
            f"{MOST_DRAWS} draws of values in a row do not go together: narrow tune.space. The last of "
            f"them: {refusal}"
        )

    def tell(self, number: int, score: float | None) -> None:
        """The score of a trial; None for one that failed."""
        if number in self._asked:
            self._tell(self._asked.pop(number), score)

    def importance(self) -> dict[str, float]:
        """By key, the share of the variance of scores that it explains alone (fANOVA), the largest first.

        Only for keys that every trial has; none of fewer than ten scored trials, or of scores that are all
        the same.
        """
        import optuna

        done = self._study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))
        if len(done) < FEWEST_FOR_IMPORTANCE or len({trial.value for trial in done}) < 2:
            return {}
        with _quiet():
            evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
            shares = optuna.importance.get_param_importances(self._study, evaluator=evaluator)
        return {key: float(share) for key, share in shares.items()}

    def _draw(self) -> tuple[optuna.trial.Trial, dict[str, object]]:
        with _quiet():
            trial = self._study.ask()
            return trial, self.space.choose(lambda one: _value(trial, one))

    def _tell(self, trial: optuna.trial.Trial, score: float | None) -> None:
        import optuna

        with _quiet():
            if score is None:
                self._study.tell(trial, state=optuna.trial.TrialState.FAIL)
            else:
                self._study.tell(trial, score)


def _value(trial: optuna.trial.Trial, dimension: Dimension) -> Any:
    """The value of a dimension in a trial; a choice is drawn by its place, whatever it is."""
    if dimension.choices:
        return dimension.choices[trial.suggest_categorical(dimension.key, range(len(dimension.choices)))]
    low, high = dimension.bounds
    if dimension.whole:
        return trial.suggest_int(dimension.key, int(low), int(high), log=dimension.values.log)
    value = trial.suggest_float(dimension.key, low, high, log=dimension.values.log)
    return min(max(_rounded(value), low), high)


def _rounded(value: float) -> float:
    """A number with few significant digits."""
    return value if value == 0 else round(value, DIGITS - 1 - math.floor(math.log10(abs(value))))


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without Optuna's log, and without its warning that an argument may change."""
    import optuna

    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(verbosity)
