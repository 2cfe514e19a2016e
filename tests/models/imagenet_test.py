"""Weights that are downloaded, or not."""

import keras
import pytest

from tfquantseg.models.imagenet import downloaded


def test_a_network_without_its_classifier_is_asked_for() -> None:
    asked: list[dict] = []
    model = keras.Sequential()

    def build(**arguments: object) -> keras.Model:
        asked.append(arguments)
        return model

    assert downloaded(build) is model
    assert asked == [{"weights": "imagenet", "include_top": False}]


def test_without_a_network_it_says_what_to_do() -> None:
    def VGG16(**arguments: object) -> keras.Model:
        # As Keras words it.
        raise Exception("URL fetch failure on https://host/vgg16.h5: None -- Name not known")

    message = (
        r"could not be downloaded: URL .*VGG16\(include_top=False\)\.save_weights.* give that file"
    )
    with pytest.raises(ConnectionError, match=message):
        downloaded(VGG16)


def test_other_errors_are_left_as_they_are() -> None:
    def build(**arguments: object) -> keras.Model:
        raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        downloaded(build)
