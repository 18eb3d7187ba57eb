"""Whether the ids of outcomes and of embeddings are spelled alike: files that share no patient, or few."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from os.path import commonprefix

from hcat_core.errors import DataError

FEW = 0.5  # of the patients of the smaller list
COMPARED = 100  # ids for the example


def check_outcome_ids(
    source: str,
    outcome_ids: Sequence[str],
    modalities: str,
    patients: Sequence[str],
    written: Mapping[str, str],
) -> str | None:
    """Stop if no patient has an outcome; a finding if fewer than half do, of the smaller of both lists.

    Args:
        source: file of the outcomes.
        outcome_ids: the ids in it.
        modalities: names of the modalities.
        patients: the ids in their files.
        written: the spelling in the files of ids that normalisation changed.

    Raises:
        DataError: with one id of either.
    """
    shared = set(outcome_ids) & set(patients)
    if not outcome_ids or not patients or len(shared) >= FEW * min(len(outcome_ids), len(patients)):
        return None
    here, there = _alike(
        [one for one in patients if one not in shared], [one for one in outcome_ids if one not in shared]
    )
    spelled = f"{written.get(here, here)} there, {written.get(there, there)} here"
    question = f"are the ids written the same way? {spelled}."
    if not shared:
        raise DataError(
            f"{source}: none of the {len(patients)} patients of {modalities} has an outcome here: "
            f"{question}"
        )
    return (
        f"{source}: only {len(shared)} of the {len(patients)} patients of {modalities} are among the "
        f"{len(outcome_ids)} with an outcome here: {question}"
    )


def _alike(first: Sequence[str], second: Sequence[str]) -> tuple[str, str]:
    """One id of either list that begin or end alike, as two spellings of one patient mostly do."""
    pairs = _begin_alike(first, second), _begin_alike(_reversed(first), _reversed(second))
    forwards, backwards = (len(commonprefix(pair)) for pair in pairs)
    return pairs[0] if forwards >= backwards else (pairs[1][0][::-1], pairs[1][1][::-1])


def _begin_alike(first: Sequence[str], second: Sequence[str]) -> tuple[str, str]:
    ordered = sorted(second)
    best = first[0], second[0]
    for one in first[:COMPARED]:
        place = bisect_left(ordered, one)
        for other in ordered[max(0, place - 1) : place + 1]:
            if len(commonprefix([one, other])) > len(commonprefix(best)):
                best = one, other
    return best


def _reversed(ids: Sequence[str]) -> list[str]:
    return [one[::-1] for one in ids]
