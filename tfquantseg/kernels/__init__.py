"""Own TensorFlow ops in C++, for CPUs with AVX-512 VNNI; where they can't be, stock ops do.

ops = kernels.ops()
y = ops.tfquantseg_conv(x) if ops else tf.nn.conv2d(x)
"""

from tfquantseg.kernels.library import in_xla, ops, stock, why_not

__all__ = ["in_xla", "ops", "stock", "why_not"]
