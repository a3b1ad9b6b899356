"""Sample grids, animations and training curves, and their files, which are written atomically."""

import io
from collections.abc import Mapping, Sequence

import keras
import numpy as np

from keras_gan.utils.files import check_folder, write_bytes
from keras_gan.utils.images import to_channels_last
from keras_gan.utils.optional import require
from keras_gan.utils.typing import Array, PathLike, ValueRange
from keras_gan.utils.validation import check_array, check_integer, check_path, check_range

__all__ = [
    "PANELS",
    "check_png",
    "check_value_range",
    "encode_png",
    "image_grid",
    "save_gif",
    "save_png",
    "to_uint8",
    "training_curves",
]


def __dir__():
    return __all__


SEPARATOR = 2  # pixels of the lines between images
SMALLEST_SIDE = 56
WHITE = 255

PANELS = (
    ("Losses", ("d_loss", "g_loss")),
    ("Mean decisions of the discriminator", ("d_real", "d_fake")),
)


def check_value_range(value_range: ValueRange) -> ValueRange:
    """Return the two ends of a value range as floats.

    Args:
        value_range: pair of numbers, those shown as black and as white.

    Returns:
        `(lowest, highest)`.

    Raises:
        TypeError: it is not a pair of numbers.
        ValueError: the numbers are not finite, or not in ascending order.

    Example:

    >>> kg.visualization.check_value_range((-1, 1))
    (-1.0, 1.0)
    """
    hint = "It is (0, 1) for a generator that ends in a sigmoid, and (-1, 1) for tanh."
    return check_range("value_range", value_range, hint)


def to_uint8(images: Array, value_range: ValueRange) -> np.ndarray:
    """Convert images in a value range to bytes.

    For viewing only: values outside the range are clipped, and values that are not finite become
    mid-gray, so that a run that diverged can still be drawn.

    Args:
        images: array of any shape, of numbers.
        value_range: pair (lowest, highest), which become 0 and 255.

    Returns:
        Array of the same shape, uint8.

    Raises:
        TypeError: `images` are not numbers; `value_range` is not a pair of numbers.
        ValueError: `images` are empty; the ends of `value_range` are not finite, or not in ascending
            order.

    Example:

    >>> from keras_gan.visualization import to_uint8
    >>> to_uint8([-1.0, 0.0, 1.0, 7.0, float("nan")], value_range=(-1, 1)).tolist()
    [0, 128, 255, 255, 128]
    """
    low, high = check_value_range(value_range)
    images = check_array("images", images, finite=False).astype("float64")
    levels = np.where(np.isfinite(images), (images - low) / (high - low), 0.5)
    return np.rint(255 * np.clip(levels, 0, 1)).astype("uint8")


def image_grid(images: Array, rows: int, columns: int) -> np.ndarray:
    """Arrange images in a grid, row by row, separated by thin white lines.

    Images smaller than 56 pixels are enlarged by an integer factor.

    Args:
        images: uint8 array `(rows * columns, height, width, channels)`, or with the channels first
            where `keras.config.image_data_format()` says so. One channel is gray, three are RGB,
            four RGBA; with any other number the channels of an image are laid side by side in gray.
        rows: int, number of rows.
        columns: int, number of columns.

    Returns:
        The grid: uint8 array `(height, width)` if gray, else `(height, width, 3 or 4)`.

    Raises:
        TypeError: `images` has another dtype; `rows` or `columns` is not an integer.
        ValueError: `images` has another shape.

    Example:

    >>> import numpy as np
    >>> from keras_gan.visualization import image_grid
    >>> image_grid(np.zeros((6, 28, 28, 3), "uint8"), rows=2, columns=3).shape
    (118, 176, 3)
    """
    rows = check_integer("rows", rows, minimum=1)
    columns = check_integer("columns", columns, minimum=1)
    levels = _check_bytes("images", images)
    if levels.ndim != 4 or len(levels) != rows * columns:
        raise ValueError(
            f"`images` for a grid of `rows={rows}` and `columns={columns}` must have the shape "
            f"({rows * columns}, height, width, channels). Received shape: {levels.shape}"
        )
    levels = to_channels_last(levels)
    _, height, width, channels = levels.shape
    factor = -(-SMALLEST_SIDE // max(height, width))
    if channels not in (1, 3, 4):
        levels = levels.transpose(0, 1, 3, 2).reshape(len(levels), height, channels * width, 1)
    levels = levels.repeat(factor, axis=1).repeat(factor, axis=2)
    line = (SEPARATOR, 0)
    levels = np.pad(levels, ((0, 0), line, line, (0, 0)), constant_values=WHITE)
    _, height, width, channels = levels.shape
    cells = levels.reshape(rows, columns, height, width, channels)
    grid = cells.swapaxes(1, 2).reshape(rows * height, columns * width, channels)
    line = (0, SEPARATOR)
    grid = np.pad(grid, (line, line, (0, 0)), constant_values=WHITE)
    return grid[..., 0] if channels == 1 else grid


def _check_bytes(name, images):
    """Return an array of uint8 that is not empty, or raise."""
    levels = check_array(name, images)
    if levels.dtype != np.uint8:
        raise TypeError(
            f"`{name}` must have the dtype uint8. Received: {levels.dtype}. Convert numbers in a value "
            "range with `keras_gan.visualization.to_uint8(images, value_range)`."
        )
    return levels


def _check_image(name, image):
    """Return an array that Pillow takes, or raise."""
    levels = _check_bytes(name, image)
    if levels.ndim != 2 and (levels.ndim != 3 or levels.shape[2] not in (3, 4)):
        raise ValueError(
            f"`{name}` must be of shape (height, width), or (height, width, 3 or 4) for RGB and RGBA. "
            f"Received shape: {levels.shape}"
        )
    return levels


def encode_png(image: np.ndarray) -> bytes:
    """Return an image encoded as PNG.

    Args:
        image: uint8 array of shape (height, width), or (height, width, 3 or 4).

    Raises:
        TypeError: `image` has another dtype.
        ValueError: it has another shape.

    Example:

    >>> kg.visualization.encode_png(np.zeros((4, 4), "uint8"))[1:4]
    b'PNG'
    """
    levels = _check_image("image", image)
    buffer = io.BytesIO()
    require("PIL.Image").fromarray(levels).save(buffer, format="PNG")
    return buffer.getvalue()


def check_png(path: PathLike) -> None:
    """Check that a file name ends in `.png`, and that its folder can be created.

    Args:
        path: name of the file to be written.

    Raises:
        TypeError: `path` is not a path.
        ValueError: it does not end in `.png`.
        NotADirectoryError: a file is where its folder would be.

    Example:

    >>> kg.visualization.check_png("curves.png")
    """
    file = check_path("path", path)
    if file.suffix.lower() != ".png":
        raise ValueError(
            f"`path` must be the name of a PNG file, such as 'curves.png'. Received: {path}"
        )
    check_folder("path", file.parent)


def save_png(path: PathLike, image: np.ndarray) -> None:
    """Write an image as a PNG file, whole or not at all.

    Args:
        path: the file to write; missing folders are created.
        image: uint8 array `(height, width)`, or `(height, width, 3 or 4)` for RGB and RGBA.

    Raises:
        TypeError: `path` is not a path, or `image` has another dtype.
        ValueError: `image` has another shape.
        NotADirectoryError: a file is where the folder would be.

    Example:

    >>> import pathlib, tempfile
    >>> import numpy as np
    >>> from keras_gan.visualization import save_png
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "black.png"
    >>> save_png(path, np.zeros((8, 8), "uint8"))
    >>> path.read_bytes()[1:4]
    b'PNG'
    """
    write_bytes(check_path("path", path), encode_png(image))


def save_gif(path: PathLike, frames: Sequence[Array], *, duration: int = 200) -> None:
    """Write images as a GIF that repeats without end, whole or not at all.

    A GIF has 256 colors per frame and no partial transparency: RGBA frames are drawn on white.

    Args:
        path: the file to write; missing folders are created.
        frames: sequence of images of one shape, as `save_png` takes them.
        duration: int, milliseconds per frame. Defaults to 200.

    Raises:
        TypeError: `path` is not a path, or a frame has another dtype than uint8.
        ValueError: no frames, or frames of several shapes or of another shape than an image.
        NotADirectoryError: a file is where the folder would be.

    Example:

    >>> import pathlib, tempfile
    >>> import numpy as np
    >>> from keras_gan.visualization import save_gif
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "brighter.gif"
    >>> save_gif(path, [np.full((8, 8), level, "uint8") for level in (0, 90, 180)])
    >>> path.read_bytes()[:3]
    b'GIF'
    """
    check_path("path", path)
    duration = check_integer("duration", duration, minimum=1, maximum=2**16)
    sequence = (
        frames if isinstance(frames, (list, tuple)) else np.atleast_1d(_check_bytes("frames", frames))
    )
    images = [_check_image("frames", frame) for frame in sequence]
    shapes = sorted({image.shape for image in images})
    if len(shapes) != 1:
        raise ValueError(
            "`frames` must be one or more images of one shape. "
            f"Received {len(images)} images of shapes: {shapes}"
        )
    pillow = require("PIL.Image")
    first, *others = [pillow.fromarray(_on_white(image)) for image in images]
    buffer = io.BytesIO()
    first.save(buffer, format="GIF", save_all=True, append_images=others, duration=duration, loop=0)
    write_bytes(path, buffer.getvalue())


def _on_white(image):
    if image.shape[2:] != (4,):
        return image
    opacity = image[..., 3:] / 255
    return np.rint(opacity * image[..., :3] + (1 - opacity) * WHITE).astype("uint8")


def training_curves(
    history: keras.callbacks.History | Mapping[str, Sequence[float | None]], path: PathLike
) -> None:
    """Plot the training history of a GAN: both losses, the discriminator's decisions, and the rest.

    At the equilibrium both decisions are ½, the dotted line. Every other entry of the history, such as
    a penalty or a metric, has a panel of its own. Validation curves are dashed; with `validation_freq`
    they are spread evenly over the epochs.

    Args:
        history: what `fit` returned, or its `history`, a dict from names to one number per epoch.
            `None` instead of a number is skipped; numbers that are not finite leave a gap.
        path: the PNG file to write, whole or not at all; missing folders are created.

    Raises:
        TypeError: `history` is neither a `keras.callbacks.History` nor a dict.
        ValueError: `d_loss`, `g_loss`, `d_real` or `d_fake` is not in the history; `path` does not end
            in `.png`.
        NotADirectoryError: a file is where the folder would be.

    Example:

    >>> import pathlib, tempfile
    >>> from keras_gan.visualization import training_curves
    >>> history = {"d_loss": [1.2, 1.3], "g_loss": [0.9, 0.8], "d_real": [0.6, 0.5],
    ...            "d_fake": [0.4, 0.5], "val_fid": [80.0, 70.0]}
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "curves.png"
    >>> training_curves(history, path)
    >>> path.read_bytes()[1:4]
    b'PNG'
    """
    check_png(path)
    curves = getattr(history, "history", history)
    if not isinstance(curves, Mapping):
        raise TypeError(
            "`history` must be what `gan.fit(...)` returned, or its `history`, a dict from names to one "
            f"number per epoch. Received: {history!r} of type {type(history).__name__}."
        )
    missing = [name for _, names in PANELS for name in names if name not in curves]
    if missing:
        raise ValueError(
            "`history` must be the history of a GAN, with the names d_loss, g_loss, d_real and d_fake. "
            f"Missing: {', '.join(missing)}. Received: {', '.join(map(str, curves)) or 'nothing'}. "
            "Pass what `gan.fit(...)` returned, after one epoch or more."
        )
    epochs = np.add(getattr(history, "epoch", range(len(curves["d_loss"]))), 1)
    panels = [*PANELS, *_further_panels(curves)]
    rows = -(-len(panels) // 2)
    figure = require("matplotlib.figure").Figure((10, 3.6 * rows), dpi=120, layout="constrained")
    for number, (title, names) in enumerate(panels, start=1):
        axes = figure.add_subplot(rows, 2, number, title=title, xlabel="epoch")
        axes.xaxis.get_major_locator().set_params(integer=True)
        for color, name in zip(("C0", "C1"), names, strict=False):
            _draw_curves(axes, epochs, curves, name, color)
        if names == PANELS[1][1]:
            axes.axhline(0.5, color="gray", linestyle=":", label="½")
            # The scores of a critic, such as with the Wasserstein loss, exceed [0, 1].
            lowest, highest = axes.dataLim.intervaly
            axes.set_ylim(min(0, lowest), max(1, highest))
        axes.legend()
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    write_bytes(path, buffer.getvalue())


def _further_panels(curves):
    known = {name for _, names in PANELS for name in names}
    names = dict.fromkeys(name.removeprefix("val_") for name in curves)
    return [(name.replace("_", " "), (name,)) for name in names if name not in known]


def _draw_curves(axes, epochs, curves, name, color):
    for label, style in ((name, ".-"), (f"val_{name}", ".--")):
        if label in curves:
            values = curves[label]
            positions = _spread(epochs, len(values))
            shown = [index for index, value in enumerate(values) if value is not None]
            values = [values[index] for index in shown]
            # Matplotlib leaves labels out of the legend that begin with "_".
            label = f" {label}" if label.startswith("_") else label
            axes.plot(positions[shown], values, style, color=color, label=label)


def _spread(epochs, count):
    return epochs[np.ceil(np.arange(1, count + 1) * len(epochs) / count).astype(int) - 1]
