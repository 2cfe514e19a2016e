"""ImageNet's weights, which keras.applications downloads."""

from collections.abc import Callable

import keras


def downloaded(build: Callable[..., keras.Model]) -> keras.Model:
    """Builds a network of keras.applications with ImageNet's weights, without its classifier.

    Args:
        build: A function of keras.applications.

    Raises:
        ConnectionError: The weights are not on this machine and cannot be downloaded.
    """
    try:
        return build(weights="imagenet", include_top=False)
    except Exception as error:
        # Keras raises no kind of its own.
        if not str(error).startswith("URL fetch failure"):
            raise
        raise ConnectionError(
            f"Encoder 'imagenet' could not be downloaded: {error}. Where there is a network, "
            f"keras.applications.{build.__name__}(include_top=False)"
            ".save_weights('FILE.weights.h5') keeps what it downloads: give that file as encoder. "
            "Without an encoder, weights are random."
        ) from error
