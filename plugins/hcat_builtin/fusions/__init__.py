"""Fusion encoders, one a file."""
