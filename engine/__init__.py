"""The programs that execute prototxt."""

ENGINES = ("caffe", "torch")  # the first is the reference and the default
PRECISIONS = ("float32", "tf32", "bf16")  # the first is Caffe's, and the default
