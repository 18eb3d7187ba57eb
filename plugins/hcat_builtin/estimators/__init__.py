"""Estimators that do not use the neural model: the baselines that it is compared with."""
