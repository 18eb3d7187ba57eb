"""Fusions, which combine the modalities of a patient into one vector."""
