import pytest

from emotiw.engine.caffe.locate import Caffe, find_caffe
from emotiw.errors import EmotiwError


@pytest.fixture(scope="session")
def caffe() -> Caffe:
    """The real Caffe; tests with it carry the marker `caffe` and are never skipped."""
    try:
        return find_caffe()
    except EmotiwError as error:
        pytest.fail(str(error))  # it names `emotiw caffe install`
