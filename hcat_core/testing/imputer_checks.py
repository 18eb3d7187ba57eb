"""The checks of every imputer."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from hcat_core.cohort import Cohort, Targets
from hcat_core.interfaces import Average, FitContext, Imputation, Imputer
from hcat_core.layout import Layout, Modality
from hcat_core.testing.harness import TEST, Check, Subject, require, same_state, state_of, through_a_file

DRAWS = 400


def annotated(subject: Subject) -> None:
    """The class has a docstring; its annotations were checked when it was loaded."""
    cls = subject.catalog.find("imputer", subject.name).load()
    require((cls.__doc__ or "").strip(), "the class has no docstring, which hcat show prints")


def keeps_measured_cells(subject: Subject) -> None:
    """Measured cells are equal to the bit, and are not marked as filled."""
    batch = subject.test
    found = _imputed(subject, batch)
    require(
        torch.equal(found.emb[batch.measured], batch.emb[batch.measured]), "measured cells were changed"
    )
    require(not (found.filled & batch.measured).any(), "measured cells are marked as filled")
    require((found.std[batch.measured] == 0).all(), "std is not 0 where a cell was measured")


def fills_every_gap(subject: Subject) -> None:
    """Missing blocks, and gaps within present ones, are filled with a standard deviation above 0."""
    batch = subject.test
    found = _imputed(subject, batch)
    gaps = ~batch.measured & batch.layout.cells
    require((found.filled == gaps).all(), f"{int((gaps & ~found.filled).sum())} gaps were left")
    require((found.std[gaps] > 0).all(), "std is 0 in a cell that was not measured")


def finite_whatever_is_left(subject: Subject) -> None:
    """Values are finite with any single modality left, also for one patient."""
    batch = subject.test
    for column in range(batch.present.shape[1]):
        rows = batch.present[:, column].nonzero().squeeze(1)[:8]
        hide = torch.ones_like(batch.present[rows])
        hide[:, column] = False
        for few in (rows, rows[:1]):
            found = _imputed(subject, batch[few].hide(hide[: len(few)]))
            require(
                found.emb.isfinite().all() and found.std.isfinite().all(),
                f"not finite with {batch.layout.names[column]} alone, {len(few)} patients",
            )


def finite_with_a_modality_never_seen(subject: Subject) -> None:
    """Values are finite where no training patient had a modality."""
    column = 2
    hide = torch.zeros_like(subject.train.present)
    hide[:, column] = True
    blind = subject.fit(subject.make(), subject.train.hide(hide).without_targets())
    found = _quietly(blind, subject.test)
    require(found.emb.isfinite().all() and found.std.isfinite().all(), "not finite")


def absent_slots_are_not_looked_at(subject: Subject) -> None:
    """Values in cells that were not measured have no influence."""
    batch = subject.test
    rubbish = replace(batch, emb=torch.where(batch.measured, batch.emb, 1e4))
    one, two = _imputed(subject, batch), _imputed(subject, rubbish)
    gaps = one.filled
    require(
        _same(one.emb[gaps], two.emb[gaps]) and _same(one.std, two.std),
        "values in slots that were not measured change the imputation",
    )


def order_changes_nothing(subject: Subject) -> None:
    """Each patient is imputed independently of the others."""
    batch = subject.test
    order = torch.randperm(len(batch), generator=torch.Generator().manual_seed(0))
    one, two = _imputed(subject, batch), _imputed(subject, batch[order])
    require(
        torch.allclose(one.emb[order], two.emb, atol=1e-4, equal_nan=True)
        and torch.allclose(one.std[order], two.std, atol=1e-4, equal_nan=True),
        "another order of patients gives another imputation",
    )


def targets_do_not_matter(subject: Subject) -> None:
    """Other outcomes give the same state, and the cohort is not changed."""
    train = subject.train
    assert train.targets is not None
    flipped = Targets(1 - train.targets.labels.abs(), train.targets.time + 100, train.targets.event)
    before = train.emb.clone()
    one = subject.fit(subject.make(), train)
    two = subject.fit(subject.make(), replace(train, targets=flipped))
    require(same_state(state_of(one), state_of(two)), "the outcomes reach what is fitted")
    require(torch.equal(before, train.emb), "fit changed the cohort it was given")


def same_seed_same_result(subject: Subject) -> None:
    """Two fits give one state."""
    again = subject.fit(subject.make(), subject.train.without_targets())
    require(same_state(state_of(subject.fitted), state_of(again)), "the same seed gives another state")


def state_round_trips(subject: Subject) -> None:
    """A state saved as safetensors and loaded gives the same imputation."""
    fresh = subject.make()
    fresh.load_state_dict(through_a_file(subject.fitted))
    if isinstance(fresh, nn.Module):
        fresh.eval()
    one, two = _imputed(subject, subject.test), _quietly(fresh, subject.test)
    require(
        _same(one.emb, two.emb) and _same(one.std, two.std),
        "what was saved and loaded imputes otherwise",
    )


def gradients_are_finite(subject: Subject) -> None:
    """Every loss of a network is a finite scalar with a finite gradient that is not all zero."""
    imputer: Any = subject.make()
    if not isinstance(imputer, nn.Module) or "trainable" not in subject.tags:
        return
    fit: Any = imputer.fit
    fit(subject.train.without_targets(), subject.validation.without_targets(), FitContext(3))
    imputer.train()
    losses = imputer(subject.train[slice(0, 32)].without_targets()).losses
    require(losses, "a trainable imputer gives no loss in training")
    for name, term in losses.items():
        require(isinstance(term, Average), f"the loss {name} is no Average")
        require(term.value.ndim == 0 and term.value.isfinite(), f"the loss {name} is not a finite scalar")
    torch.stack([term.value for term in losses.values()]).sum().backward()
    gradients = [p.grad for p in imputer.parameters() if p.grad is not None]
    require(all(g.isfinite().all() for g in gradients), "a gradient is not finite")
    require(any((g != 0).any() for g in gradients), "the losses reach no parameter")
    imputer.eval()
    quiet = imputer(subject.train[slice(0, 8)].without_targets())
    require(not quiet.losses, "it computes losses outside training")


def draws_as_claimed(subject: Subject) -> None:
    """Draws have the mean and the spread that are claimed, and keep measured cells."""
    batch = subject.test[slice(0, 20)]
    found = _imputed(subject, batch)
    where = found.filled
    require(where.any(), "nothing was filled")
    with torch.no_grad():
        drawn = found.draw(DRAWS, torch.Generator().manual_seed(1))
    require(drawn.shape == (DRAWS, *batch.emb.shape), f"draws have shape {tuple(drawn.shape)}")
    require((drawn[:, batch.measured] == batch.emb[batch.measured]).all(), "draws change measured cells")
    z = (drawn.mean(dim=0) - found.emb)[where] / found.std[where] * DRAWS**0.5
    require(
        z.abs().mean() < 2.0, f"draws are off their mean by {float(z.abs().mean()):.1f} standard errors"
    )
    ratio = float((drawn.std(dim=0)[where] / found.std[where]).median())
    require(0.85 < ratio < 1.18, f"draws spread {ratio:.2f} times as wide as std says")


def draws_vary_together(subject: Subject) -> None:
    """With the tag ``draws``, the mean of a block's draws varies as much as its error."""
    if "draws" not in subject.tags:
        return
    truth = _truth(subject)
    batch = subject.test
    found = _imputed(subject, batch)
    with torch.no_grad():
        drawn = found.draw(100, torch.Generator().manual_seed(1))
    missing = ~batch.present
    # Along the first principal direction of a block, where the noise of single cells averages out.
    ratios = []
    for column, width in enumerate(batch.layout.widths):
        rows = missing[:, column].nonzero().squeeze(1)
        if len(rows) < 10:
            continue
        cells = truth[:, column, :width]
        direction = torch.linalg.svd(cells - cells.mean(dim=0), full_matrices=False)[2][0]
        error = (truth - found.emb)[rows, column, :width] @ direction
        spread = (drawn[:, rows, column, :width] @ direction).std(dim=0)
        ratios.append(float(error.square().mean().sqrt() / spread.square().mean().sqrt()))
    require(ratios, "no block is missing")
    mean = sum(ratios) / len(ratios)
    require(mean < 2.0, f"blocks err {mean:.1f} times as far as their draws reach: draws are too narrow")


def beats_the_mean(subject: Subject) -> None:
    """Better than the mean on the linear cohort, where the best possible R2 is about two thirds."""
    truth = _truth(subject)
    batch = subject.test
    found = _imputed(subject, batch)
    where = (~batch.present).unsqueeze(-1) & batch.layout.cells
    r2 = 1 - (truth - found.emb)[where].square().sum() / truth[where].square().sum()
    require(
        r2 > 0.1,
        f"R2 {float(r2):.3f} of hidden blocks; the mean has 0. One that need not be better says so in its "
        'Component: expected_failures={"beats the mean": REASON}',
    )


def wrong_shapes_are_refused(subject: Subject) -> None:
    """A batch of another layout is an error."""
    batch = subject.test[slice(0, 4)]
    layout = Layout((*batch.layout.modalities[:-1], Modality("other", 99)), batch.layout.tasks)
    n, m, d = 4, len(layout.modalities), layout.widest
    other = Cohort(
        patient_ids=batch.patient_ids,
        layout=layout,
        emb=torch.zeros((n, m, d)),
        measured=torch.zeros((n, m, d), dtype=torch.bool),
        present=batch.present,
        quality=batch.quality,
        n_rows=batch.n_rows,
    )
    try:
        _imputed(subject, other)
    except (ValueError, RuntimeError, IndexError, TypeError) as error:
        require(str(error), "the error has no message")
        return
    require(False, "a batch of other widths was imputed without an error")


def _truth(subject: Subject) -> Tensor:
    layout = subject.cohort.layout  # drawing the cohort also gives its truth
    complete = torch.from_numpy(subject.synthetic.complete[TEST])
    cells = (complete - subject.standardiser.mean) / subject.standardiser.scale
    return torch.where(layout.cells, cells, 0.0)


def _same(one: Tensor, two: Tensor) -> bool:
    """Whether two tensors are equal; NaN equals NaN, which is another check's fault."""
    return torch.allclose(one, two, rtol=0, atol=0, equal_nan=True)


def _imputed(subject: Subject, batch: Cohort) -> Imputation:
    return _quietly(subject.fitted, batch)


@torch.no_grad()
def _quietly(imputer: Imputer, batch: Cohort) -> Imputation:
    return imputer(batch)


IMPUTER_CHECKS = [
    Check("is documented and annotated", annotated),
    Check("keeps measured cells bit for bit", keeps_measured_cells),
    Check("fills every gap", fills_every_gap),
    Check("finite with one modality left, and for one patient", finite_whatever_is_left),
    Check("finite with a modality never seen in training", finite_with_a_modality_never_seen),
    Check("values in absent slots change nothing", absent_slots_are_not_looked_at),
    Check("order of patients changes nothing", order_changes_nothing),
    Check("targets never reach it", targets_do_not_matter),
    Check("same seed, same result", same_seed_same_result),
    Check("state round-trips through safetensors", state_round_trips),
    Check("gradients are finite", gradients_are_finite),
    Check("draws have the claimed mean and spread", draws_as_claimed),
    Check("draws of a block vary together", draws_vary_together),
    Check("beats the mean", beats_the_mean),
    Check("wrong shapes are an error", wrong_shapes_are_refused),
]
