"""The programs that execute prototxt."""
