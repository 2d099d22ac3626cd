"""Caffe's solvers: the training loop, update rules, learning rates, snapshots."""
