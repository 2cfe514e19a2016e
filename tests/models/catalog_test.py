"""Models by name: known ones build, unknown names are refused with the nearest."""

import numpy as np
import pytest

from tfquantseg import models


def test_names_are_the_models_that_build_accepts() -> None:
    assert models.names() == (
        "deeplabv3_resnet50",
        "efficientnet_lite0",
        "fcn8s_vgg16",
        "residual_unet",
    )


def test_build_passes_its_arguments_on() -> None:
    built = models.build("residual_unet", classes=4, width=2, input_size=[40, 48], seed=3)
    direct = models.residual_unet(4, width=2, input_size=(40, 48), seed=3)
    image = np.full((1, 40, 48, 3), 90, np.float32)
    np.testing.assert_array_equal(built(image), direct(image))


def test_unknown_model_names_the_nearest() -> None:
    with pytest.raises(ValueError, match=r"model 'fcn8_vgg16'.*Did you mean 'fcn8s_vgg16'\?"):
        models.build("fcn8_vgg16", classes=2)


def test_unknown_argument_names_the_nearest() -> None:
    with pytest.raises(ValueError, match=r"'residual_unet' 'widht'.*Did you mean 'width'\?"):
        models.build("residual_unet", classes=2, widht=8)


def test_missing_argument_is_named() -> None:
    with pytest.raises(ValueError, match="'residual_unet' needs the argument 'classes'"):
        models.build("residual_unet")
