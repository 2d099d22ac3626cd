"""pycaffe's classes that are not offered here; using one raises an error that names it."""

from emotiw.errors import EmotiwError


class Detector:
    """R-CNN's detector of image windows: not offered."""

    def __init__(self, *given: object, **named: object) -> None:
        raise EmotiwError(
            "caffe.Detector is not offered on torch: run the script by the real Caffe (emotiw caffe python), or crop "
            "the windows and use caffe.Classifier"
        )


class NCCL:
    """Collective operations between GPUs: not offered."""

    def __init__(self, *given: object, **named: object) -> None:
        raise EmotiwError(
            "caffe.NCCL is not offered on torch: for several GPUs run emotiw.engine.torch.worker by torchrun"
        )
