"""The second engine: the same prototxt on PyTorch."""
