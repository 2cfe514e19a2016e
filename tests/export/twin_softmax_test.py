"""The twin of SOFTMAX against LiteRT's reference kernels and tflite-micro: every byte, equal."""

import numpy as np
import pytest

from tfquantseg.export.certificate import _micro
from tfquantseg.export.functions import UNIT_STEP, Softmax
from tfquantseg.export.network import Network, Tensor
from tfquantseg.export.program import FileProgram
from tfquantseg.export.tflite import write_tflite
from tfquantseg.export.twin import compute

# In float32 one of some 10,000 bytes is rounded otherwise than by the kernels' integers.
_SIDE = 128


@pytest.mark.parametrize("channels", [2, 3, 21])
@pytest.mark.parametrize("step", [2.0**-12, 0.0031, 0.017, 0.11, 0.37, 2.0, 40.0])
def test_every_byte_is_that_of_the_kernels(step: float, channels: int) -> None:
    shape = (_SIDE, _SIDE, channels)
    image = Tensor("image", shape, float(np.float32(step)))
    output = Tensor("made", shape, UNIT_STEP, -128)
    network = Network("softmax", image, (Softmax(inputs=(image,), output=output),), output, {})
    pixels = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    content, twin = write_tflite(network), compute(network, pixels)
    reference = FileProgram(content, kernels="reference")
    np.testing.assert_array_equal(reference(pixels)[0], twin)
    micro = _micro(content, 1)
    assert micro is not None
    np.testing.assert_array_equal(np.reshape(micro(pixels)[0], shape), twin)
