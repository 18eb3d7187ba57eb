"""Imputers compared on hidden blocks of synthetic cohorts or of a user's own."""
