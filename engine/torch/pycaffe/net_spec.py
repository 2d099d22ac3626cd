"""`caffe.net_spec`, where pycaffe has it; see `emotiw.prototxt.net_spec`."""

from emotiw.prototxt.net_spec import Function as Function
from emotiw.prototxt.net_spec import Layers as Layers
from emotiw.prototxt.net_spec import NetSpec as NetSpec
from emotiw.prototxt.net_spec import Parameters as Parameters
from emotiw.prototxt.net_spec import Top as Top
from emotiw.prototxt.net_spec import assign_proto as assign_proto
from emotiw.prototxt.net_spec import layers as layers
from emotiw.prototxt.net_spec import params as params
from emotiw.prototxt.net_spec import to_proto as to_proto
