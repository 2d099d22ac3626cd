"""Hand values, identities and draws; test_data.py has the real Caffe beside it."""

import numpy as np
import pytest
import torch

from emotiw.engine.torch.data.transformer import Transformer, all_at_once, one_by_one
from emotiw.errors import EmotiwError
from emotiw.prototxt.formats.blobs import write_mean
from emotiw.prototxt.formats.layer_parameters import TransformationParameter as Param


def numbered(count, channels, height, width):
    """Images in which every pixel is another number, below 256."""
    return (np.arange(count * channels * height * width) % 251).astype(np.uint8).reshape(count, channels, height, width)


def test_a_centre_crop_by_hand():
    image = np.arange(20, dtype=np.uint8).reshape(1, 1, 4, 5)
    # floor((4 - 3) / 2) = 0 from above, floor((5 - 3) / 2) = 1 from the left.
    found = Transformer(Param(crop_size=3), "TEST")(image)
    assert found.tolist() == [[[[1, 2, 3], [6, 7, 8], [11, 12, 13]]]]
    assert found.dtype == torch.float32


def test_mean_and_scale_by_hand(tmp_path):
    image = np.array([[[[10, 20]], [[30, 40]]]], np.uint8)
    assert Transformer(Param(mean_value=[8], scale=0.5), "TEST")(image).tolist() == [[[[1, 6]], [[11, 16]]]]
    assert Transformer(Param(mean_value=[8, 20], scale=0.5), "TEST")(image).tolist() == [[[[1, 6]], [[5, 10]]]]
    write_mean(tmp_path / "mean.binaryproto", np.array([[[1, 2]], [[3, 4]]], np.float32))
    of_file = Transformer(Param(mean_file="mean.binaryproto", crop_size=1), "TEST", folder=tmp_path)
    assert of_file(image).tolist() == [[[[9]], [[27]]]]


def test_the_mean_of_a_pixel_goes_with_it(tmp_path):
    """If the mean is the image itself, the result is zero for all crops and mirrors."""
    images = [numbered(1, 3, 9, 11)[0]] * 200
    write_mean(tmp_path / "mean.binaryproto", images[0].astype(np.float32))
    param = Param(mean_file=str(tmp_path / "mean.binaryproto"), crop_size=4, mirror=True)
    assert not Transformer(param, "TRAIN", seed=0)(images).any()


def windows(image, crop):
    """Every crop of an image and its mirror, by (top, left, mirrored)."""
    _, height, width = image.shape
    found = {}
    for top in range(height - crop + 1):
        for left in range(width - crop + 1):
            cut = np.float32(image[:, top : top + crop, left : left + crop])
            found[top, left, False], found[top, left, True] = cut, cut[..., ::-1]
    return found


def places(images, param, phase, seed):
    """The crop position of each image, and whether it was mirrored; the image must make this unambiguous."""
    found = Transformer(param, phase, seed=seed)(images)
    by_bytes = {cut.tobytes(): place for place, cut in windows(images[0], param.crop_size).items()}
    assert len(by_bytes) == 2 * (images[0].shape[1] - param.crop_size + 1) * (images[0].shape[2] - param.crop_size + 1)
    return [by_bytes[np.ascontiguousarray(cut.numpy()).tobytes()] for cut in found]


def test_training_crops_and_mirrors_are_spread_evenly():
    images = [numbered(1, 2, 6, 7)[0]] * 12000
    drawn = places(images, Param(crop_size=4, mirror=True), "TRAIN", seed=1)
    counts = {place: drawn.count(place) for place in set(drawn)}
    assert len(counts) == 3 * 4 * 2
    # 12000 draws over 24 places: 500 each, standard deviation 22; of 24, none is off by 5 of them.
    assert all(abs(count - 500) < 110 for count in counts.values())
    assert drawn[:100] != places(images[:100], Param(crop_size=4, mirror=True), "TRAIN", seed=2)
    assert drawn[:100] == places(images[:100], Param(crop_size=4, mirror=True), "TRAIN", seed=1)[:100]


def test_test_crops_are_central_and_mirrors_random_in_any_phase():
    images = [numbered(1, 2, 6, 7)[0]] * 1000
    drawn = places(images, Param(crop_size=4, mirror=True), "TEST", seed=1)
    assert set(drawn) == {(1, 1, False), (1, 1, True)}
    assert 420 < drawn.count((1, 1, True)) < 580
    assert set(places(images, Param(crop_size=4), "TEST", seed=1)) == {(1, 1, False)}
    assert {mirrored for _, _, mirrored in places(images, Param(crop_size=4), "TRAIN", seed=1)} == {False}


def test_without_a_seed_draws_differ():
    images = [numbered(1, 2, 6, 7)[0]] * 100
    param = Param(crop_size=4, mirror=True)
    assert places(images, param, "TRAIN", None) != places(images, param, "TRAIN", None)


@pytest.mark.parametrize("mean", [(1, 1, 1), (3, 1, 1), (3, 9, 8)])
@pytest.mark.parametrize("kind", [np.uint8, np.float32])
def test_all_at_once_is_one_by_one(kind, mean):
    """The GPU's and the CPU's algorithms give bit-identical results."""
    rng = np.random.default_rng(0)
    images, below = rng.integers(0, 256, (20, 3, 9, 8)).astype(kind), rng.uniform(0, 255, mean).astype(np.float32)
    places = tuple(torch.from_numpy(rng.integers(0, room, 20)) for room in (5, 3, 2))
    places, scale = (*places[:2], places[2].bool()), 0.00390625 * 1.1
    found = all_at_once(torch.from_numpy(images), (3, 5, 6), places, torch.from_numpy(below), scale)
    assert torch.equal(found, one_by_one(images, (3, 5, 6), places, below, scale))


@pytest.mark.gpu
def test_a_gpu_transforms_to_the_same_bits():
    images = numbered(40, 3, 9, 8)
    param = Param(crop_size=5, mirror=True, mean_value=[7.3], scale=0.017)
    for some in (images, [*images[:3], images[4][:, :7]]):
        on_gpu = Transformer(param, "TRAIN", "cuda", seed=3)(some)
        assert on_gpu.is_cuda
        assert torch.equal(on_gpu.cpu(), Transformer(param, "TRAIN", seed=3)(some))


def test_images_of_several_sizes():
    few = [numbered(1, 3, height, 8)[0] for height in (6, 9, 7)]
    found = Transformer(Param(crop_size=5), "TEST")(few)
    for cut, image, top in zip(found, few, (0, 2, 1), strict=True):
        assert np.array_equal(cut, image[:, top : top + 5, 1:6])


def refusal(param, shape=(3, 8, 9), phase="TEST", **kwargs):
    with pytest.raises(EmotiwError) as caught:
        Transformer(param, phase, **kwargs).shape(shape)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_what_does_not_fit_is_refused_in_a_line(tmp_path):
    mean = tmp_path / "mean.binaryproto"
    write_mean(mean, np.zeros((3, 8, 8), np.float32))
    assert refusal(Param(mean_file=str(mean))) == (
        f"an image of 3 x 8 x 9 does not fit the mean {mean} of 3 x 8 x 8: name the mean of this LMDB"
    )
    assert refusal(Param(crop_size=9)) == "an image of 3 x 8 x 9 is smaller than crop_size 9"
    assert refusal(Param(mean_value=[1, 2])) == "2 mean_values for 3 channels: one, or one for each"
    assert "Caffe takes either" in refusal(Param(mean_value=[1], mean_file=str(mean)))
    assert refusal(Param(mean_file="none"), folder=tmp_path) == f"{tmp_path / 'none'}: no such mean_file"
    mean.write_bytes(b"\x0a\xff")
    assert "not a complete BlobProto" in refusal(Param(mean_file=str(mean)))
    with pytest.raises(EmotiwError, match=r"images of 1 x 2 x 2 and of 1 x 2 x 3 in one batch"):
        Transformer(Param(), "TRAIN")([np.zeros((1, 2, 3), np.uint8), np.zeros((1, 2, 2), np.uint8)])
