"""The bare program of `emotiw evaluate`: a net that reads an LMDB by a Data layer, under Caffe's own Python.

python score_lmdb.py NET WEIGHTS IMAGES OUTPUT    the posteriors, as CSV

NET has a Data layer and ends in `prob`; its batch divides IMAGES.
"""

import sys

import caffe
import numpy as np

net = caffe.Net(sys.argv[1], sys.argv[2], caffe.TEST)
images, output = int(sys.argv[3]), sys.argv[4]
scores = []
for _ in range(images // len(net.blobs["data"].data)):
    net.forward()
    scores.append(net.blobs["prob"].data.copy())
np.savetxt(output, np.concatenate(scores), delimiter=",", fmt="%.8f")
