"""The layouts in which data sets of faces come, a module each; `registry` chooses."""
