"""Folders and archives as one tree of files; unpacking what cannot be read in place."""
