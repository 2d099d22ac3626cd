"""The nets and solvers, one folder a net, and Caffe's own protobuf messages."""
