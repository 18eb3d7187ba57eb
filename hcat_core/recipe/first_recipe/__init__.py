"""A first recipe, written from what the files of a cohort hold: ``hcat init``."""
