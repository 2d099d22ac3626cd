"""Phrases of messages and tables."""


def counted(count: int, noun: str) -> str:
    """Return a number with its noun, which gets an `s` unless it is one: "1 crop", "10 crops"."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
