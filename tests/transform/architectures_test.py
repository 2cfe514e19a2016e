"""Real architectures: ResNet50 of keras.applications and DeepLabV3Plus of keras-cv."""

import time

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.transform.networks import FINE, inputs_of, with_statistics
from tfquantseg.layers import QuantConv2D
from tfquantseg.policy import FLOAT, INTEGER
from tfquantseg.transform import count_convolutions, plan, quantize

keras_cv = pytest.importorskip("keras_cv")


def deeplab() -> keras.Model:
    """DeepLabV3+ on a small ResNet, built without a preset."""
    backbone = keras_cv.models.ResNetBackbone(
        stackwise_filters=[8, 8, 8, 8],
        stackwise_blocks=[1, 1, 1, 1],
        stackwise_strides=[1, 2, 2, 2],
        include_rescaling=True,
        input_shape=(64, 64, 3),
    )
    return keras_cv.models.DeepLabV3Plus(num_classes=3, backbone=backbone)
