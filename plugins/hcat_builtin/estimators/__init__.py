"""Estimators that predict without the neural assembly: the baselines it has to beat."""
