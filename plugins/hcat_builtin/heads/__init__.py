"""Prediction heads, one a file."""
