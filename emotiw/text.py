"""Phrases of messages and tables."""


def counted(count: int, noun: str, several: str = "") -> str:
    """Return a number with its noun, or `several`, or the noun with an `s`: "1 crop", "10 crops"."""
    return f"{count} {noun if count == 1 else several or f'{noun}s'}"
