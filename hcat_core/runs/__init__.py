"""Runs and what is done with them: train, resume, predict, impute, evaluate elsewhere."""
