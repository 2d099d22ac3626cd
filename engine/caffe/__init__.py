"""The real Caffe, as a separate process."""
