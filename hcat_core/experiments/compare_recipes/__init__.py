"""Whole recipes compared on the same folds: ``hcat compare``."""
