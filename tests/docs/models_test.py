"""The page on models: its layers of your own train."""

import pathlib
import re
from typing import Any

import keras
import numpy as np

from tfquantseg import preset, quantize

_PAGE = pathlib.Path("docs/design/models.md").read_text()


def test_the_registered_layers_of_the_page_are_quantized() -> None:
    (code,) = re.findall(r"```python\n(.*?)```", _PAGE, re.DOTALL)
    names: dict[str, Any] = {}
    exec(compile(code, "models.md", "exec"), names)
    image = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(8, 1)(image)
    x = names["Softplus"](name="softplus")(names["PixelShuffle"]()(x))
    model = keras.Model(image, keras.layers.Conv2D(2, 1)(x))
    quantized = quantize(model, preset("INTEGER"))
    values = np.random.default_rng(0).normal(size=(1, 8, 8, 3)).astype(np.float32)
    # Four 8-bit tensors and two 8-bit kernels.
    expected = model(values).numpy()
    np.testing.assert_allclose(quantized(values), expected, atol=0.05 * np.abs(expected).max())


def test_every_layer_of_the_table_is_one_of_keras() -> None:
    table = _PAGE.split("\n## ")[0]
    for name in re.findall(r"`([A-Z]\w+2D\w*|Dense|Add|Concatenate|Flatten|Reshape)", table):
        assert hasattr(keras.layers, name), name
