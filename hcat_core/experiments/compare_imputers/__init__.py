"""The comparison of imputers: hidden blocks, one protocol, on synthetic cohorts and on a user's own."""
