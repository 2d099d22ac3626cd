"""The verb `map`.

The command writes DIR/<stem>.<representation>.png: the LBP codes of IMAGE, coloured by the paper's 3-D map, at its
native size less 2 x radius pixels in height and width. It needs no data and no Caffe. Name the images before -r.
--derive computes the tables of colours from the distances between the codes and compares them with the shipped ones.
"""

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING

from emotiw.commands.options import add_representations, representations
from emotiw.errors import EmotiwError, UsageError
from emotiw.files import refuse_overwrite, whole
from emotiw.lbp_mapping.representation import MAPPED, Representation

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from emotiw.lbp_mapping.mapping import Image

CODES_FIGURE = "codes.figure.png"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `emotiw map`."""
    parser.add_argument("images", type=Path, nargs="*", metavar="IMAGE", help="a face, in any format OpenCV reads")
    add_representations(parser, MAPPED)
    parser.add_argument(
        "--threshold",
        type=float,
        default=0.0,
        metavar="T",
        help="by how many grey values a neighbour must exceed the centre, for representations that do not name a "
        "threshold (default: 0, the paper's)",
    )
    parser.add_argument(
        "--radius",
        type=int,
        default=1,
        metavar="R",
        help="radius of the LBP operator in pixels, for representations that do not name one (default: 1)",
    )
    parser.add_argument(
        "-o", "--output", type=Path, default=Path(), metavar="DIR", help="the output folder (default: the current one)"
    )
    parser.add_argument(
        "--figure",
        action="store_true",
        help=f"also write <stem>.figure.png, the face in each representation, and {CODES_FIGURE}, the 256 codes in 3-D",
    )
    parser.add_argument(
        "--derive", action="store_true", help="derive the tables of colours and compare (takes 5 seconds)"
    )
    parser.add_argument("--force", action="store_true", help="replace existing outputs")


def run(args: argparse.Namespace) -> None:
    """Derive the tables, map the images, or both."""
    if not args.images and not args.derive:
        raise UsageError("no image: name at least one, before -r, or give --derive")
    chosen = representations(args, MAPPED, args.threshold, args.radius)
    without = {
        f"--threshold {args.threshold:g}": representations(args, MAPPED, radius=args.radius),
        f"--radius {args.radius}": representations(args, MAPPED, args.threshold),
    }
    given = dict(zip(without, (args.threshold != 0, args.radius != 1), strict=True))
    for flag, others in without.items():
        if given[flag] and chosen == others:
            raise UsageError(f"{flag} applies to none of {', '.join(map(str, chosen))}: leave it out")
    suffixes = [f"{representation}.png" for representation in chosen]
    if args.figure:
        suffixes.append("figure.png")
    outputs = _outputs(args.images, suffixes, args.output, args.figure)
    codes = args.output / CODES_FIGURE
    for path in outputs:
        refuse_overwrite(path, args.force or path == codes)  # this figure does not depend on the image
    if args.derive:
        _derive()
    for image in args.images:
        _map(image, chosen, args.output, args.figure)
    if args.images and args.figure:
        from emotiw.lbp_mapping.figures import codes_figure

        if args.force or not codes.exists():
            _write_figure(codes, codes_figure())


def _outputs(images: list[Path], suffixes: list[str], folder: Path, figure: bool) -> list[Path]:
    """Return the paths of the outputs; raise if two images would share one, or if one is an input."""
    made_from: dict[Path, str] = {folder / CODES_FIGURE: "the 256 codes"} if figure and images else {}
    inputs = {image.resolve() for image in images}
    for image in images:
        if not image.is_file():
            wrong = "it is a folder: name the images in it" if image.is_dir() else "no such file"
            raise EmotiwError(f"{image}: {wrong}")
        for path in (folder / f"{image.stem}.{suffix}" for suffix in suffixes):
            if path in made_from:
                raise UsageError(f"{image} and {made_from[path]} would both become {path}: map them into two folders")
            if path.resolve() in inputs:
                raise UsageError(f"{path} would be made from {image} but is an input itself: name a folder with -o")
            made_from[path] = str(image)
    return list(made_from)


def _map(image: Path, chosen: list[Representation], folder: Path, figure: bool) -> None:
    """Write one image in all its representations."""
    from emotiw.data_prep.images import UnreadableImageError, read_image
    from emotiw.lbp_mapping.mapping import map_images

    try:
        rgb = read_image(image)
        pictures = map_images(rgb, chosen)
    except (UnreadableImageError, ValueError) as error:
        raise EmotiwError(f"{image}: {error}") from None
    for representation, picture in zip(chosen, pictures, strict=True):
        _write_picture(folder / f"{image.stem}.{representation}.png", picture)
    if figure:
        from emotiw.lbp_mapping.figures import face_figure

        _write_figure(folder / f"{image.stem}.figure.png", face_figure(rgb, chosen))


def _write_picture(path: Path, rgb: "Image") -> None:
    """Write an RGB picture as a PNG."""
    import cv2

    _, png = cv2.imencode(".png", rgb[..., ::-1])
    with whole(path) as temporary:
        temporary.write_bytes(png.tobytes())
    print(f"{path}: {rgb.shape[1]} x {rgb.shape[0]}")


def _write_figure(path: Path, figure: "Figure") -> None:
    with whole(path) as temporary:
        figure.savefig(temporary, format="png")
    print(f"{path}: figure")


def _derive() -> None:
    """Derive each table from its distances and print the comparison; raise if one differs from the shipped table."""
    from emotiw.lbp_mapping.derivation import derive, transport_differences
    from emotiw.lbp_mapping.distance import AUTHORS, CODES, DISTANCES
    from emotiw.lbp_mapping.tables import UNSEEN, shipped

    different = []
    for mapping in DISTANCES:
        began = time.perf_counter()
        derivation = derive(mapping)
        rows = int((derivation.table == shipped(mapping)).all(axis=1).sum())
        report = (
            f"{mapping}: {derivation.iterations} iterations, stress {derivation.stress:.8f}, {rows} of {CODES} rows "
        )
        report += "equal the shipped table"
        if mapping in UNSEEN:
            report += f" ({CODES - len(UNSEEN[mapping])} of them read from the authors' pictures)"
        pairs, wrong = transport_differences(mapping) if mapping in AUTHORS else (0, 0)
        if pairs:
            report += f", {pairs - wrong} of {pairs} distances between equal masses equal POT's"
        print(f"{report}, {time.perf_counter() - began:.1f} s", flush=True)
        if rows < CODES or wrong:
            different.append(mapping)
    if different:
        raise EmotiwError(
            f"{', '.join(different)}: the derived table is not the shipped one: install the versions of "
            "requirements.lock"
        )
