"""The bare program of `emotiw predict`: the authors' notebook for one picture, under Caffe's own Python.

python classify_picture.py PICTURE DEPLOY WEIGHTS MEAN SIDE CROPPED    the posteriors, as a JSON list

The picture is resized to SIDE; CROPPED is the side of the mean's centre crop that is subtracted, 0 for the whole mean.
"""

import json
import sys

import caffe
import numpy as np
import skimage.io

picture, deploy, weights, mean_file = sys.argv[1:5]
side, cropped = map(int, sys.argv[5:])
with open(mean_file, "rb") as file:  # noqa: PTH123
    mean = caffe.io.blobproto_to_array(caffe.proto.caffe_pb2.BlobProto.FromString(file.read()))[0]
if cropped:
    edge = (mean.shape[-1] - cropped) // 2
    mean = mean[:, edge : edge + cropped, edge : edge + cropped]
classifier = caffe.Classifier(
    deploy, weights, mean=mean, channel_swap=(2, 1, 0), raw_scale=255, image_dims=(side, side)
)
image = skimage.img_as_float(skimage.io.imread(picture)).astype(np.float32)  # caffe.io.load_image
print(json.dumps(classifier.predict([image], oversample=False)[0].tolist()))
