"""Install a real Caffe without root: Debian 11's packages, pinned and checked."""
