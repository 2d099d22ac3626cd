"""The experiments (one row = net x representation): pre-train, fine-tune, resume."""
