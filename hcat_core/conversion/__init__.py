"""``hcat convert`` writes a cohort in another layout, equal to the last bit."""
