"""Discrimination, calibration and survival metrics, with intervals."""
