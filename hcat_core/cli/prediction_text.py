"""The predictions of one patient in sentences: what they rest on, and what would change them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from hcat_core.data.event_times import DAYS
from hcat_core.text.numbers import percent

YEARS_FROM = 2 * DAYS["years"]  # from this horizon on times are given in years
POINTS = slice(2, None, 3)  # of the twelve of a risk curve: the quarters of the horizon


@dataclass(frozen=True)
class Reference:
    """What a prediction is compared with: the run's threshold, and the mean prediction of its patients."""

    threshold: float
    base_rate: float


def patient_lines(record: Mapping[str, Any], references: Mapping[str, Reference]) -> Iterator[str]:
    """Lines on one patient.

    Args:
        record: of ``hcat_core.runs.predict.as_records``.
        references: by task.
    """
    yield f"{record['patient_id']} has {', '.join(record['modalities'])}"
    for name in record["missing"]:
        share = record["imputed"].get(name)
        if share is None:
            yield f"  {name} is missing, and not imputed"
        else:
            left = percent(min(share, 1))
            yield f"  {name} is missing: imputed; {left} of its variance remains uncertain"
    for task, one in record["tasks"].items():
        base = references[task].base_rate
        if one["kind"] == "continuous":
            unit = f" {one['unit']}" if one["unit"] else ""
            yield f"  {one['output']} {number_text(one['value'])}{unit}{_interval(one)}"
            yield f"    {_relation(one['value'], base, number_text)}"
        elif one["kind"] == "class":
            likeliest = one["class"] == record["classes"][one["outcome"]]
            text = f"  {one['output']} {one['probability']:.2f}{_interval(one)}"
            yield text + (", the most likely class" if likeliest else "")
            yield f"    {_relation(one['probability'], base, _probability_text)}"
        else:
            yield f"  {one['output']} {one['probability']:.2f}{_interval(one)}"
            yield f"    {against(one['probability'], references[task])}"
        yield from (f"    {line}" for line in _details(one))


def against(probability: float, reference: Reference) -> str:
    """A sentence that compares a probability with the base rate and with the threshold, and names both."""
    base, threshold = reference.base_rate, reference.threshold
    text = _relation(probability, base, _probability_text)
    decision = "reaches" if probability >= threshold else "is below"
    text += f"; it {decision} {threshold:.2f}, from which on this run counts the event as predicted"
    if threshold <= probability < base:
        text += ", a threshold below what is predicted for anyone"
    return text


def _relation(value: float, base: float, text: Callable[[float], str]) -> str:
    """Whether a prediction is above or below the mean prediction, or the same in the digits shown."""
    if text(value) == text(base):
        return f"the same as the {text(base)} that is predicted for anyone"
    relation = "above" if value > base else "below"
    return f"{relation} the {text(base)} that is predicted for anyone"


def _interval(one: Mapping[str, Any]) -> str:
    if one["interval_90"] is None:
        return ""
    low, high = (_text(one, end) for end in one["interval_90"])
    return f" (90 % interval {low} to {high})"


def _details(one: Mapping[str, Any]) -> Iterator[str]:
    if one["curve"] is not None:
        points = list(zip(one["curve"]["days"], one["curve"]["probability"], strict=True))[POINTS]
        horizon = one["curve"]["days"][-1]
        yield f"over time: {', '.join(f'{p:.2f} by {said(day, horizon)}' for day, p in points)}"
    if "contributions" in one:
        parts = sorted(one["contributions"].items(), key=lambda item: -abs(item[1]))
        number = one["kind"] == "continuous"
        contributions = ", ".join(f"{name} {value:{'+.3g' if number else '+.3f'}}" for name, value in parts)
        base = number_text(one["base_rate"]) if number else f"{one['base_rate']:.3f}"
        yield f"{base} for anyone; {contributions}"
    if one["measure_next"]:
        yield what_to_measure(one)
    for name, shift in one.get("tipping_points", {}).items():
        yield what_would_tip(name, shift)


def number_text(value: float) -> str:
    """A number with four digits, or all those before the decimal point."""
    return f"{value:.4g}" if abs(value) < 1000 else f"{value:.0f}"


def _text(one: Mapping[str, Any], value: float) -> str:
    """A probability, or a number, of one task."""
    return number_text(value) if one["kind"] == "continuous" else _probability_text(value)


def _probability_text(value: float) -> str:
    """A probability with two digits."""
    return f"{value:.2f}"


def said(days: float, horizon: float) -> str:
    """A time in years, where the horizon is long, or in months."""
    unit = "years" if horizon >= YEARS_FROM else "months"
    number = f"{days / DAYS[unit]:.1f}".removesuffix(".0")
    return f"{number} {unit.removesuffix('s') if number == '1' else unit}"


def what_would_tip(name: str, shift: float | None) -> str:
    """A sentence on the shift of imputed values at which the decision about a patient changes."""
    from hcat_core.evaluation.tipping_point import FARTHEST

    if shift is None:
        return (
            f"the decision stays if {name} is up to {FARTHEST:g} standard deviations off what was imputed"
        )
    if shift == 0:
        return f"the decision changes if {name} is measured and is what was imputed"
    return f"the decision changes if {name} is {shift:+.2f} standard deviations off what was imputed"


def what_to_measure(one: Mapping[str, Any]) -> str:
    """A sentence on the missing modality that would change the probability most if it were measured."""
    name = one["measure_next"]
    change = math.sqrt(one["expected_variance_reduction"][name]["value"])
    what = "value" if one["kind"] == "continuous" else "probability"
    if what == "probability" and f"{change:.2f}" == "0.00":
        return "no modality that is missing would change the probability by as much as 0.01"
    text = f"measuring {name} would change the {what} most, by about {_text(one, change)} either way"
    if one["interval_90"] is None or "expected_width_if_measured" not in one:
        return text
    low, high = one["interval_90"]
    now, then = (_text(one, width) for width in (high - low, one["expected_width_if_measured"][name]))
    return f"{text}; the interval, {now} wide, would then be about {then} wide"
