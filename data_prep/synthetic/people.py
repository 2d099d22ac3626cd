"""The parameters of the people and the expressions of drawn faces.

Face coordinates: the origin is between eyes and mouth, x to the right, y down, 1 is half the picture's width.
"""

from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

WIDTH, HEIGHT = 96, 112  # of a picture, in pixels

_SKIN = np.array([(247, 216, 194), (226, 178, 146), (196, 143, 106), (141, 94, 64), (94, 62, 46)], float)
_HAIR = np.array([(26, 22, 22), (58, 38, 26), (112, 72, 40), (208, 170, 104), (158, 72, 34), (176, 174, 170)], float)
_IRIS = np.array([(70, 42, 24), (112, 78, 40), (84, 112, 66), (92, 134, 174), (120, 130, 136)], float)


class Expression(NamedTuple):
    """The coefficients of an expression, each about -1 to 1; all 0 is a face at rest."""

    brow_raise: float = 0.0
    brow_inner: float = 0.0  # inner ends: up is positive
    brow_squeeze: float = 0.0  # towards each other, with the furrow between them
    eye_open: float = 0.0
    smile: float = 0.0  # corners of the mouth: up is positive
    mouth_open: float = 0.0
    mouth_width: float = 0.0
    teeth: float = 0.0
    lip_raise: float = 0.0  # the upper lip towards the nose
    nose_wrinkle: float = 0.0
    cheek: float = 0.0  # the fold from nose to mouth, and the lower lid pushed up


# fmt: off
EXPRESSIONS: dict[str, Expression] = {
    #                       brow                  eye   mouth                               nose     cheek
    #                       raise inner squeeze   open  smile  open  width teeth lip_raise  wrinkle
    "Angry":    Expression(-0.7, -1.0,  1.0,     -0.1, -0.4,   0.1,  0.0,  0.6,  0.0,       0.3,     0.0),
    "Disgust":  Expression(-0.5, -0.4,  0.4,     -0.5, -0.4,   0.2,  0.0,  0.6,  1.0,       1.0,     0.8),
    "Fear":     Expression( 0.7,  0.8,  0.5,      0.9, -0.3,   0.35, 0.5,  0.5,  0.0,       0.0,     0.0),
    "Happy":    Expression( 0.1,  0.0,  0.0,     -0.35, 1.0,   0.4,  0.6,  1.0,  0.0,       0.0,     1.0),
    "Neutral":  Expression(),
    "Sad":      Expression( 0.0,  1.0,  0.3,     -0.45, -1.0,  0.0, -0.2,  0.0,  0.0,       0.0,     0.2),
    "Surprise": Expression( 1.0,  0.1,  0.0,      1.0,  0.0,   1.0, -0.5,  0.2,  0.0,       0.0,     0.0),
}
"""The seven expressions, by the name of the emotion."""
# fmt: on


@dataclass(frozen=True, eq=False)
class Identity:
    """The parameters of a person: colours (RGB, [0, 255]), measures (face coordinates), texture."""

    skin: Floats
    hair: Floats
    iris: Floats
    face_width: float
    jaw: float  # 0 is an ellipse, positive squarer, negative more pointed
    hairline: float
    hair_wave: float
    hair_part: float
    hair_length: float
    beard: float  # 0 is none, 1 has the colour of the hair
    eye_distance: float
    eye_size: float
    brow_height: float
    brow_thickness: float
    brow_rest: float
    nose_length: float
    nose_width: float
    mouth_width: float
    mouth_rest: float
    lip_thickness: float
    freckles: Floats  # (n, 2) positions
    pores: NDArray[np.float32]  # (HEIGHT, WIDTH), relative brightness around 1


def draw_identity(rng: np.random.Generator) -> Identity:
    """Return a random person."""
    tone = rng.uniform(0, len(_SKIN) - 1)
    grain = rng.standard_normal((HEIGHT, WIDTH), np.float32)
    return Identity(
        skin=np.array([np.interp(tone, range(len(_SKIN)), channel) for channel in _SKIN.T]) + rng.normal(0, 5, 3),
        hair=rng.choice(_HAIR) * rng.uniform(0.8, 1.15),
        iris=rng.choice(_IRIS) * rng.uniform(0.8, 1.2),
        face_width=rng.uniform(0.72, 0.9),
        jaw=rng.uniform(-0.15, 0.45),
        hairline=rng.uniform(-0.9, -0.62),
        hair_wave=rng.uniform(-0.12, 0.12),
        hair_part=rng.uniform(-0.2, 0.2),
        hair_length=rng.uniform(0.0, 1.8),
        beard=max(0.0, rng.uniform(-1.2, 0.7)),
        eye_distance=rng.uniform(0.33, 0.42),
        eye_size=rng.uniform(0.15, 0.2),
        brow_height=rng.uniform(0.19, 0.26),
        brow_thickness=rng.uniform(0.03, 0.075),
        brow_rest=rng.uniform(-0.25, 0.25),
        nose_length=rng.uniform(0.36, 0.5),
        nose_width=rng.uniform(0.12, 0.2),
        mouth_width=rng.uniform(0.24, 0.34),
        mouth_rest=rng.uniform(-0.25, 0.25),
        lip_thickness=rng.uniform(0.05, 0.1),
        freckles=rng.uniform((-0.6, 0.0), (0.6, 0.4), (max(0, int(rng.integers(-30, 40))), 2)),
        pores=np.asarray(
            1 + rng.uniform(0.06, 0.14) * cv2.GaussianBlur(grain, (0, 0), rng.uniform(0.8, 1.4)), np.float32
        ),
    )


def vary(expression: Expression, strength: float, rng: np.random.Generator) -> Expression:
    """Return the expression at a strength (0 is rest, 1 is full), with a little noise on every coefficient."""
    return Expression(*(strength * np.array(expression) + rng.normal(0, 0.1, len(expression))))
