"""Scores, ensemble weights, the results table beside the published one, plots."""
