"""How the scale of a tensor is taken: its largest magnitude, or a smaller one that clips a few.

    max           max|x|                                                       (Eq 3)
    percentile    the least s with |x| <= s for 99.99 % of the elements
    moments       mean|x| + 6 deviations of |x|, at most max|x|

One value far out makes the step of all others long. The two that clip it leave more of the integers
to the rest, at the price of an error of its own: who clips also stops the error of what was clipped
(`tfquantseg.numerics.encode_value`).
"""

from typing import Literal

import tensorflow as tf

from tfquantseg.numerics.grids import largest_magnitude

ScaleOf = Literal["max", "percentile", "moments"]

PERCENTILE = 99.99
"""One element in 10,000 is clipped: of 127 steps, those that the rarest values alone would take."""

DEVIATIONS = 6.0
"""How many deviations of |x| lie between its mean and the scale.

Behind a ReLU, of normal values, that is 3.9 of their deviations: one value in 20,000 is clipped.
"""

BINS = 2**14
"""Of the histogram of |x|, over 0..max|x|: 129 in one of 127 steps."""

_CLIPPED_OF = round(100 / (100 - PERCENTILE))


def scale_of(x: tf.Tensor, how: ScaleOf) -> tf.Tensor:
    """Returns the scale of a tensor, a float32 scalar; 0 for one of zeros, or of no elements.

    The percentile is taken from a histogram of all elements, and is the upper end of the first bin
    up to which they are held: at most 1/129 of a step of max|x| / 127 too large.

    Args:
        x: float32 tensor of any shape.
        how: "max", "percentile" or "moments", as above.
    """
    largest = largest_magnitude(x)
    if how == "max":
        return largest
    share = tf.math.divide_no_nan(tf.abs(x), largest)  # 0..1, whose squares do not underflow
    if how == "moments":
        mean, variance = tf.nn.moments(share, list(range(x.shape.rank)))
        most = mean + DEVIATIONS * tf.sqrt(variance)
        return largest * tf.where(most < 1, most, 1.0)
    bins = tf.math.ceil(share * BINS) - 1
    bins = tf.clip_by_value(tf.cast(tf.reshape(bins, [-1]), tf.int32), 0, BINS - 1)
    counts = tf.math.bincount(bins, minlength=BINS, maxlength=BINS)
    held = tf.size(bins) - tf.size(bins) // _CLIPPED_OF
    below = tf.reduce_sum(tf.cast(tf.cumsum(counts) < held, tf.float32))
    return largest * ((below + 1) / BINS)
