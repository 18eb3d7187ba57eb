"""Modality readers, one a file."""
