"""Convert an image of a source to a Datum in every representation."""

from dataclasses import dataclass, fields

from emotiw.files import sha256_of
from emotiw.lbp_mapping.mapping import map_images
from emotiw.lbp_mapping.representation import parse
from emotiw.prototxt.formats.datum import Encoded, encode

from .archives.tree import Source
from .face_detection import crop_face
from .image_list import Image, Interpretation
from .images import UnreadableImageError, decode, resize
from .same_pixels import pixel_digest


@dataclass(frozen=True)
class Settings:
    """The settings of `emotiw prepare`; its help describes each."""

    labels: str
    representations: tuple[str, ...]
    size: int = 256
    detect: bool = False
    val: float | None = None
    group: str | None = None
    seed: int = 0
    store: str = "raw"
    layout: str | None = None
    drop_lfw: bool = False
    same_pixels: str = "keep"
    table: str | None = None
    order: str | None = None
    person_level: int | None = None
    person_column: str | None = None
    images: str | None = None
    first_neutral: bool = False
    dataset: str = ""
    splits: str | None = None
    class_list: tuple[str, ...] = ()
    class_column: str | None = None

    @property
    def interpretation(self) -> Interpretation:
        """How to read the source."""
        return Interpretation(**{field.name: getattr(self, field.name) for field in fields(Interpretation)})


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result for one image.

    Attributes
    ----------
    image
        The image.
    sha256, pixels
        The digests of its file and of its decoded pixels; empty if it could not be read or decoded.
    reason
        Why it could not be used; empty if it was used.
    """

    image: Image
    sha256: str
    pixels: str
    reason: str


def represent(source: Source, settings: Settings, image: Image) -> tuple[Outcome, list[Encoded]]:
    """Read one image; return its outcome, and its Datum in each representation, none if it cannot be used.

    The order of operations: decode (uint8 RGB) - crop the face, if asked - map at native size (uint8 RGB) - resize
    to size x size, bilinear (uint8) - Datum (uint8, B, G, R planes). The authors resize mapped images too.
    """
    sha256 = pixels = ""
    try:
        data = source.read(image.path)
        sha256 = sha256_of(data)
        rgb = decode(data)
        pixels = pixel_digest(rgb)
        if settings.detect:
            face = crop_face(rgb)
            if face is None:
                raise UnreadableImageError("no face found")
            rgb = face
        mapped = map_images(rgb, map(parse, settings.representations))
    except (UnreadableImageError, ValueError) as error:
        return Outcome(image, sha256, pixels, str(error)), []
    encoded = [encode(resize(picture, settings.size), image.label, settings.store) for picture in mapped]
    return Outcome(image, sha256, pixels, ""), encoded
