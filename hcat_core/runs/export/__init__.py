"""A neural run as one file that torch alone computes: from cells to recalibrated probabilities."""
