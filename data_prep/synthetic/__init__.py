"""Drawn faces and people, and the archives and layouts they are packed in: for demos and tests."""
