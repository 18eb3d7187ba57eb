"""Imputers, one a file."""
