"""``hcat convert``: a cohort in another layout, without a bit of difference."""
