"""The nets of the paper as data: what `generate.py` makes the committed files from."""
