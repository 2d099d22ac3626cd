from collections import Counter

from emotiw.data_prep.datasets import is_drawn
from emotiw.data_prep.image_list import Interpretation
from emotiw.data_prep.images import read_image
from emotiw.data_prep.layouts.lfw import IN_LFW
from emotiw.data_prep.layouts.registry import list_images
from emotiw.data_prep.same_pixels import pixel_digest
from emotiw.data_prep.synthetic import full_counts
from emotiw.data_prep.synthetic.full_counts import casia_counts, draw_tiny_identities


def test_the_counts_are_those_of_casia_with_the_people_of_lfw():
    counts = casia_counts()
    assert (len(counts), sum(counts.values())) == (10_575, 494_414)
    assert min(counts.values()) >= 2
    assert max(counts.values()) > 400
    assert set(IN_LFW) < set(counts)
    assert counts == casia_counts()


def test_every_picture_is_marked_and_has_its_own_pixels(tmp_path, monkeypatch):
    monkeypatch.setattr(full_counts, "_FACES", 3)
    counts = casia_counts(people=10, images=600)
    draw_tiny_identities(tmp_path / "casia", counts, seed=0)
    files = sorted((tmp_path / "casia").glob("*/*.jpg"))
    assert len({pixel_digest(read_image(path)) for path in files}) == len(files) == 600
    assert all(is_drawn(path.read_bytes()) for path in files)
    listing = list_images(tmp_path / "casia", Interpretation("identities"))
    assert Counter(image.name for image in listing.images) == counts
    draw_tiny_identities(tmp_path / "again", counts, seed=0)
    assert [path.read_bytes() for path in sorted((tmp_path / "again").glob("*/*.jpg"))] == [
        path.read_bytes() for path in files
    ]
