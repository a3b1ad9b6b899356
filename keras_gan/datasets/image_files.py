"""Image files of any kind that Pillow reads."""

import contextlib
import importlib
import os
import pathlib
import warnings
from collections.abc import Sequence

import numpy as np

from keras_gan.datasets.options import Options, fitted
from keras_gan.utils.optional import require

__all__ = ["decode", "find", "read"]

# Formats of measurements, which Pillow only identifies.
_NON_IMAGE_FORMATS = ("BUFR", "GRIB", "HDF5")
# Formats of photos that users expect to work, but that Pillow cannot read without a plugin.
_FOREIGN = (".heic", ".heif", ".avif", ".jxl", ".dng", ".cr2", ".cr3", ".nef", ".arw")
# Number of files that a warning names.
_MAX_LISTED = 5
# Background of transparent pixels.
_BACKGROUND = "white"
_ORIENTATION = 0x0112
# Methods of Pillow that turn an image upright, by the value of that EXIF tag.
_UPRIGHT = {
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_270",
    7: "TRANSVERSE",
    8: "ROTATE_90",
}


def find(root: pathlib.Path) -> list[pathlib.Path]:
    """Return the image files below a folder, sorted, without hidden ones.

    Links to folders are followed, each folder once, except to folders that contain `root`.
    """
    image = require("PIL.Image")
    with contextlib.suppress(ImportError):
        importlib.import_module("pillow_heif").register_heif_opener()
    formats = image.registered_extensions().items()
    suffixes = {s for s, name in formats if name in image.OPEN and name not in _NON_IMAGE_FORMATS}
    files = [file for file in _walk(root) if file.is_file()]
    foreign = [file for file in files if file.suffix.lower() in {*_FOREIGN} - suffixes]
    if foreign:
        warnings.warn(
            f"Left out {_listed(foreign)}: Pillow does not read this format. Convert them to JPEG, or "
            "install the package pillow-heif if they are .heic.",
            stacklevel=6,
        )
    found = [file for file in files if file.suffix.lower() in suffixes]
    return sorted(found, key=lambda file: file.relative_to(root).parts)


def _walk(root):
    seen = set()
    for folder, folders, files in os.walk(root, followlinks=True):
        real = pathlib.Path(folder).resolve()
        # Sort, so that a folder reachable by two links is always read through the same one.
        folders[:] = sorted(name for name in folders if name[0] != "." and real not in seen)
        for name in [name for name in folders if real.is_relative_to((real / name).resolve())]:
            folders.remove(name)
            if (target := (real / name).resolve()) not in seen | {real}:
                warnings.warn(
                    f"The link {os.path.join(folder, name)} is not followed: {target} contains the "
                    "folder of images itself.",
                    stacklevel=8,
                )
        if real not in seen:
            yield from [pathlib.Path(folder, name) for name in files if name[0] != "."]
        seen.add(real)


def read(files: Sequence[pathlib.Path], options: Options) -> list[tuple[pathlib.Path, np.ndarray]]:
    """Return pairs of the files that can be read and their pixels, and warn of the others."""
    pairs, broken = [], []
    report = options.progress or (lambda done, total: None)
    for number, file in enumerate(files):
        report(number, len(files))
        try:
            pairs.append((file, decode(file, options)))
        except MemoryError:
            raise
        # Decoders raise exceptions of any class for a broken file.
        except Exception as error:
            broken.append(f"{file} ({str(error).replace(str(file), file.name)})")
    report(len(files), len(files))
    if broken:
        warnings.warn(
            f"Left out, of {len(files)} files: {_listed(broken)}. They cannot be read.", stacklevel=6
        )
    return pairs


def _listed(items):
    more = f", and {len(items) - _MAX_LISTED} more" if len(items) > _MAX_LISTED else ""
    return ", ".join(map(str, items[:_MAX_LISTED])) + more


def decode(file: pathlib.Path, options: Options) -> np.ndarray:
    """Return the pixels of one file as a square, upright, of the size and channels asked for."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about metadata, which do not matter here
        with require("PIL.Image").open(file) as image:
            if options.image_size:
                # A JPEG is decoded at a fraction of its size, still twice as large as asked for.
                image.draft(None, (2 * options.image_size, 2 * options.image_size))
            image.load()
            return fitted(np.asarray(_opaque(_shallow(_upright(image)))), options).numpy()


def _shallow(image):
    """Return an image of 16 bits or more a channel as one of 8, the others as they are."""
    if not image.mode.startswith(("I", "F")):
        return image
    values = np.asarray(image).astype("float64")
    low, high = 0, 65535
    if image.mode == "F" or not (low <= values.min() and values.max() <= high):
        # These formats have no maximum of their own.
        values = np.where(np.isfinite(values), values, np.nan)
        low, high = np.nanmin(values), np.nanmax(values)
    levels = np.nan_to_num((values - low) / max(high - low, np.finfo(float).tiny))
    return require("PIL.Image").fromarray(np.rint(255 * levels).astype("uint8"))


def _upright(image):
    """Return an image turned as its EXIF orientation says, or as it is if that cannot be read."""
    try:
        method = _UPRIGHT.get(image.getexif().get(_ORIENTATION))
    except Exception:  # of any class, if the file is damaged
        return image
    return image.transpose(require("PIL.Image").Transpose[method]) if method else image


def _opaque(image):
    """Return an RGB image, with transparent pixels drawn on the background."""
    if not image.has_transparency_data:
        return image.convert("RGB")
    image = image.convert("RGBA")
    background = require("PIL.Image").new("RGBA", image.size, _BACKGROUND)
    return require("PIL.Image").alpha_composite(background, image).convert("RGB")
