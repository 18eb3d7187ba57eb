"""How many patients of either outcome a score takes."""

FEWEST_OF_EACH = 10
"""Patients, or groups, with each outcome from which an interval, a slope or a verdict is given."""

FEWEST_TO_RESAMPLE = 20
"""Likewise, from which an interval is a bootstrap's; with fewer, its percentiles are too close together."""
