"""What every imputer shares: hidden blocks, scores and conformal calibration."""
