"""Weights beyond the fixed limits of the paper: refused, and taken over once scale has moved."""

import keras
import numpy as np
import pytest

from tfquantseg.models import move_scale_into_norms
from tfquantseg.policy import PAPER_DEEPLAB
from tfquantseg.transform import quantize


def test_scale_moves_into_batch_norm_where_weights_exceed_the_limit() -> None:
    image = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 3, use_bias=False, name="conv")(image)
    model = keras.Model(image, keras.layers.ReLU()(keras.layers.BatchNormalization()(x)))
    random = np.random.default_rng(0)
    conv, norm = model.layers[1:3]
    conv.kernel.assign(random.uniform(-7, 7, conv.kernel.shape))
    norm.moving_mean.assign(random.uniform(-9, 9, 4))
    norm.moving_variance.assign(random.uniform(4, 100, 4))
    with pytest.raises(ValueError, match=r"'conv': W reaches 6.* move_scale_into_norms"):
        quantize(model, PAPER_DEEPLAB)
    assert move_scale_into_norms(model) == {"conv": 4}
    x = random.integers(0, 256, (1, 8, 8, 3)) / 128 - 1
    expected = np.asarray(model(x, training=False))
    got = np.asarray(quantize(model, PAPER_DEEPLAB)(x, training=False))
    # 27 products of 8-bit numbers, gamma and beta: about a hundredth of the largest output.
    assert np.abs(got - expected).max() < 0.03 * expected.max()
