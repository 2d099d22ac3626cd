"""Scores, ensemble weights, a classical baseline, the results table beside the published one, plots."""
