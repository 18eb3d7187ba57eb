"""Trackers: what a run or a comparison tells, written for tools that show it."""
