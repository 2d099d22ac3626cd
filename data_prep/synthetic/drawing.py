"""The parts of a drawn face: head, folds, beard, hair, nose, eyes, brows, mouth, painted in this order."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from math import comb

import cv2
import numpy as np
from numpy.typing import NDArray

from .people import HEIGHT, WIDTH, Expression, Floats, Identity

_CENTRE = np.array([WIDTH / 2, HEIGHT / 2])
_FINE = 3  # painted this much larger, then shrunk: antialiasing
_SUBPIXEL_BITS = 4  # OpenCV's fixed-point coordinates
_BLACK, _WHITE, _LIP, _MOUTH = np.array([(16, 12, 12), (244, 242, 238), (176, 62, 66), (58, 16, 20)], float)


def paint(canvas: "Canvas", identity: Identity, shown: Expression) -> None:
    """Paint a face on the canvas, from back to front."""
    for part in (_head, _folds, _beard, _hair, _nose, _eyes, _brows, _mouth):
        part(canvas, identity, shown)


@dataclass(frozen=True, eq=False)
class Canvas:
    """A large picture, and the pose that maps face coordinates to it."""

    image: NDArray[np.uint8]
    pose: Floats  # (2, 3), pixels of the small picture to pixels of the small picture
    yaw: float

    @classmethod
    def posed(cls, rng: np.random.Generator) -> "Canvas":
        """Return a plain background in a small random pose."""
        pose = np.asarray(cv2.getRotationMatrix2D(_CENTRE.tolist(), rng.normal(0, 2.5), rng.uniform(0.95, 1.05)), float)
        pose[:, 2] += rng.normal(0, 1, 2)
        canvas = cls(np.empty((_FINE * HEIGHT, _FINE * WIDTH, 3), np.uint8), pose, rng.normal(0, 0.06))
        canvas.fill(np.array([(-9, -9), (9, -9), (9, 9), (-9, 9)]), rng.uniform(30, 210) + rng.normal(0, 20, 3))
        return canvas

    def place(self, points: Floats) -> NDArray[np.int32]:
        """Return (n, 2) face coordinates as fixed-point pixels of the large picture."""
        pixels = points * (WIDTH / 2) + _CENTRE
        # The head is round: points in front move most when it turns.
        pixels[:, 0] += self.yaw * (WIDTH / 2) * np.sqrt(np.maximum(0, 1 - points[:, 0] ** 2))
        posed = cv2.transform(pixels[None], self.pose)[0]
        return np.asarray(np.rint(posed * (_FINE * 2**_SUBPIXEL_BITS)), np.int32)

    def shrunk(self) -> NDArray[np.uint8]:
        """Return the picture at its final size, (HEIGHT, WIDTH, 3) uint8 RGB."""
        return np.asarray(cv2.resize(self.image, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA), np.uint8)

    def fill(self, points: Floats, colour: Floats) -> None:
        """Fill a polygon."""
        cv2.fillPoly(self.image, [self.place(points)], colour.tolist(), cv2.LINE_AA, _SUBPIXEL_BITS)

    def stroke(self, points: Floats, colour: Floats, thickness: float) -> None:
        """Draw a line of a thickness in face coordinates."""
        pixels = max(1, round(thickness * _FINE * WIDTH / 2))
        cv2.polylines(self.image, [self.place(points)], False, colour.tolist(), pixels, cv2.LINE_AA, _SUBPIXEL_BITS)


@cache
def _bernstein(controls: int) -> Floats:
    t = np.linspace(0, 1, 13)[:, None]
    k = np.arange(controls)
    binomials = np.array([comb(controls - 1, i) for i in k])
    return np.asarray(binomials * t**k * (1 - t) ** (controls - 1 - k), float)


def _curve(*controls: tuple[float, float]) -> Floats:
    return np.asarray(_bernstein(len(controls)) @ np.array(controls), float)


def _mix(a: Floats, b: Floats, share: float) -> Floats:
    return a + (b - a) * min(max(share, 0.0), 1.0)


def _mirrored(points: Floats) -> Iterator[Floats]:
    yield points
    yield points * (-1, 1)


def _outline(who: Identity, start: float, stop: float, grow: float = 1.0) -> Floats:
    """Return the edge of the face between two angles in half turns, clockwise from its right end."""
    angle = np.pi * np.linspace(start, stop, 25)
    cos, sin = np.cos(angle), np.sin(angle)
    x = np.sign(cos) * np.abs(cos) ** (1 - who.jaw * np.maximum(sin, 0))
    return grow * np.stack([who.face_width * x, 1.06 * sin], axis=1)


def _head(canvas: Canvas, who: Identity, shown: Expression) -> None:
    wide = who.face_width
    temple = 1.14 * wide
    locks = _curve((temple, 0), (1.0, who.hair_length), (-1.0, who.hair_length), (-temple, 0))
    canvas.fill(np.vstack([_outline(who, 1, 2, 1.14), locks]), 0.75 * who.hair)
    for ear in _mirrored(_curve((wide, -0.2), (wide + 0.16, -0.35), (wide + 0.12, 0.25), (0.9 * wide, 0.2))):
        canvas.fill(ear, 0.85 * who.skin)
    canvas.fill(_outline(who, 0, 2) * _jaw_drop(shown), who.skin)
    for freckle in who.freckles:
        canvas.stroke(np.array([freckle, freckle]), _mix(who.skin, _BLACK, 0.3), 0.03)


def _jaw_drop(shown: Expression) -> Floats:
    return np.array([1, 1 + 0.06 * max(0.0, shown.mouth_open)])


def _folds(canvas: Canvas, who: Identity, shown: Expression) -> None:
    """Draw the folds of an expression; stronger ones are darker."""
    nose, wide = who.nose_width, who.mouth_width
    folds = (
        (shown.cheek, _curve((nose + 0.05, 0.22), (wide + 0.12, 0.3), (wide + 0.14, 0.62))),
        (shown.cheek, _curve((0.2, 0.02), (0.4, 0.1), (0.56, 0.0))),
        (shown.brow_squeeze, _curve((0.07, -0.52), (0.05, -0.4), (0.07, -0.3))),
        (shown.nose_wrinkle, _curve((0.0, -0.16), (0.08, -0.18), (0.13, -0.08))),
        (shown.nose_wrinkle, _curve((0.0, -0.06), (0.08, -0.08), (0.14, 0.03))),
        (shown.brow_raise, _curve((0.0, -0.62), (0.25, -0.66), (0.45, -0.6))),
        (shown.brow_raise, _curve((0.0, -0.71), (0.25, -0.75), (0.42, -0.7))),
    )
    for strength, fold in folds:
        for line in _mirrored(fold):
            if strength > 0.1:
                canvas.stroke(line, _mix(who.skin, _BLACK, 0.6 * strength), 0.025)


def _beard(canvas: Canvas, who: Identity, shown: Expression) -> None:
    wide = who.face_width
    edge = _curve((-wide, 0.2), (-0.5, 0.5), (0, 0.25), (0.5, 0.5), (wide, 0.2))
    if who.beard > 0:
        cheeks_and_chin = np.vstack([_outline(who, 0.06, 0.94) * _jaw_drop(shown), edge])
        canvas.fill(cheeks_and_chin, _mix(who.skin, who.hair, who.beard))


def _hair(canvas: Canvas, who: Identity, shown: Expression) -> None:
    x = np.linspace(1, -1, 15)
    line = who.hairline + 0.35 * x**2 + who.hair_part * x + who.hair_wave * np.cos(7 * x)
    fringe = np.stack([who.face_width * x, line], axis=1)
    canvas.fill(np.vstack([_outline(who, 1, 2, 1.12), fringe]), who.hair)
    for strand, tip in enumerate(fringe):
        crown = _curve((0.4 * tip[0], -1.15), (0.9 * tip[0], -1.0), (tip[0], tip[1] - 0.03))
        canvas.stroke(crown, who.hair * (0.8, 1.2)[strand % 2], 0.02)


def _nose(canvas: Canvas, who: Identity, shown: Expression) -> None:
    tip = who.nose_length - 0.15 - 0.06 * shown.nose_wrinkle
    wide = who.nose_width * (1 + 0.2 * shown.nose_wrinkle)
    shade = _mix(who.skin, _BLACK, 0.35)
    for side in _mirrored(_curve((0.6 * wide, tip - 0.12), (1.5 * wide, tip - 0.02), (0.7 * wide, tip + 0.06))):
        canvas.stroke(side, shade, 0.03)
    for nostril in _mirrored(_curve((0.2 * wide, tip + 0.05), (0.5 * wide, tip - 0.02), (0.75 * wide, tip + 0.05))):
        canvas.fill(nostril, _mix(who.skin, _BLACK, 0.75))
    canvas.stroke(_curve((-0.03, -0.15), (-0.09, 0.05), (-0.5 * wide, tip - 0.1)), _mix(who.skin, _BLACK, 0.15), 0.03)
    canvas.stroke(_curve((0.02, -0.1), (0.02, 0.0), (0.02, tip - 0.05)), 1.12 * who.skin, 0.05)


def _eyes(canvas: Canvas, who: Identity, shown: Expression) -> None:
    size = who.eye_size
    upper = size * max(0.12, 0.45 + 0.35 * shown.eye_open)
    lower = size * max(0.08, 0.32 + 0.12 * shown.eye_open - 0.18 * shown.cheek)
    x = np.linspace(-size, size, 15)
    lid = 1 - (x / size) ** 2
    top, bottom = np.stack([x, -upper * lid], axis=1), np.stack([x[::-1], lower * lid], axis=1)
    angle = np.linspace(0, 2 * np.pi, 24)
    for side in (-1, 1):
        at = np.array([side * who.eye_distance, -0.2])
        canvas.fill(at + np.vstack([top, bottom]), _WHITE)
        for radius, colour in ((0.5 * size, who.iris), (0.22 * size, _BLACK)):
            disc = radius * np.stack([np.cos(angle), np.sin(angle)], axis=1)
            lids = 1 - (disc[:, 0] / size) ** 2
            disc[:, 1] = np.clip(disc[:, 1], -upper * lids, lower * lids)
            canvas.fill(at + disc, colour)
        canvas.stroke(at + top, _BLACK, 0.04)
        canvas.stroke(at + bottom, _mix(who.skin, _BLACK, 0.45), 0.02)
        canvas.stroke(at + top - (0, 0.05), _mix(who.skin, _BLACK, 0.3), 0.02)


def _brows(canvas: Canvas, who: Identity, shown: Expression) -> None:
    height = -0.2 - who.brow_height - 0.14 * shown.brow_raise
    tilt = 0.13 * (shown.brow_inner + who.brow_rest)
    inner, outer = who.eye_distance - 0.2 - 0.06 * shown.brow_squeeze, who.eye_distance + 0.24
    brow = _curve((inner, height - tilt), (0.5 * (inner + outer), height - 0.07), (outer, height + 0.06 + 0.5 * tilt))
    for side in _mirrored(brow):
        canvas.stroke(side, _mix(0.75 * who.hair, _BLACK, 0.2), who.brow_thickness)


def _mouth(canvas: Canvas, who: Identity, shown: Expression) -> None:
    wide = who.mouth_width * (1 + 0.35 * shown.mouth_width)
    bend = 0.14 * (shown.smile + who.mouth_rest)
    centre = 0.58 + 0.4 * bend
    gap = 0.36 * max(0.0, shown.mouth_open)
    corner = centre + 0.4 * gap - bend

    def lip(height: float) -> Floats:
        return _curve((-wide, corner), (-0.6 * wide, height), (0.6 * wide, height), (wide, corner))

    above, below = centre + 0.3 * bend - 0.1 * shown.lip_raise, centre + 0.3 * bend + 1.3 * gap
    upper, lower = lip(above - who.lip_thickness), lip(below + 1.3 * who.lip_thickness)
    canvas.fill(np.vstack([upper, lower[::-1]]), _mix(0.85 * who.skin, _LIP, 0.45))
    canvas.fill(np.vstack([lip(above), lip(below)[::-1]]), _MOUTH)
    canvas.fill(np.vstack([lip(above), lip(above + min(0.13 * max(0, shown.teeth), below - above))[::-1]]), _WHITE)
    canvas.stroke(lip(above), _MOUTH, 0.025)
    canvas.stroke(lip(below), _MOUTH, 0.02)
