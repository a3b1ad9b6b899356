"""Trained models: included in the package, in files, or on Hugging Face."""

from typing import Self

import keras

from keras_gan.utils.presets import resolve
from keras_gan.utils.typing import PathLike

__all__ = ["Presets"]


class Presets(keras.Model):
    """The part of `GAN` that loads trained models by name."""

    @classmethod
    def from_preset(cls, preset: PathLike) -> Self:
        """Load a trained GAN: one that comes with the package, one of yours, or one of Hugging Face.

        | `preset` | what is loaded |
        |---|---|
        | `"digits"` | 28 × 28 digits in [0, 1] from 64 normal latents, see `saved_models/digits.md` |
        | path of a `.keras` file | what `save` wrote |
        | path of a folder | what `save(folder, zipped=False)` wrote, or one `.keras` file in it |
        | `"hf://user/repository"` | what `save` uploaded there (`pip install huggingface_hub`) |

        Files are loaded in Keras' safe mode, which does not run code that they contain.

        Args:
            preset: name, path, or address.

        Returns:
            A GAN, compiled if it was compiled when it was saved.

        Raises:
            ValueError: unknown name; a folder without a model; a file of another class.
            FileNotFoundError: the path does not exist.
            ImportError: `huggingface_hub` is not installed.
            OSError: there is no such repository on Hugging Face, or no connection.

        Example:

        >>> gan = kg.GAN.from_preset("digits")
        >>> gan.generate(16, seed=1).shape
        (16, 28, 28, 1)
        """
        path = resolve(preset)
        try:
            model = keras.models.load_model(path)
        except OSError as error:
            if not path.startswith("hf://"):
                raise
            raise OSError(
                f"`preset`: {path!r} could not be loaded from Hugging Face: {error}"
            ) from error
        if not isinstance(model, cls):
            raise ValueError(
                f"The preset {str(preset)!r} must be a `{cls.__name__}`. Received a "
                f"`{type(model).__name__}`. `keras.models.load_model` loads any model."
            )
        return model
