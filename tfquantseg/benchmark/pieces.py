"""The pieces of a training step that the suite kernels measures, and what each must do at least.

A piece is frozen and plain, so that it reaches its worker as JSON. What it *must do* does not
depend on who does it: multiplications and additions of a product, bytes that an elementwise piece
has to read and write. Over what the machine can do a second, that is the piece's *floor*.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any, Literal

Product = Literal["forward", "input_gradient", "weight_gradient"]
PRODUCTS: tuple[Product, ...] = ("forward", "input_gradient", "weight_gradient")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Convolution:
    """A convolution with padding SAME, of which three products are measured.

    Attributes:
        name: of the piece.
        about: where it is from.
        images: shape of its input, [N, H, W, in].
        kernel: height and width, pixels.
        channels: of its output.
        stride: pixels.
        dilation: pixels.
        transposed: whether it enlarges the image by its stride.
    """

    name: str
    about: str
    images: tuple[int, int, int, int]
    kernel: tuple[int, int]
    channels: int
    stride: int = 1
    dilation: int = 1
    transposed: bool = False

    @property
    def outputs(self) -> tuple[int, int, int, int]:
        """Shape of its output, [N, H', W', out]."""
        count, height, width, _ = self.images
        if self.transposed:
            return count, height * self.stride, width * self.stride, self.channels
        return count, -(-height // self.stride), -(-width // self.stride), self.channels

    @property
    def weights(self) -> tuple[int, int, int, int]:
        """Shape of its kernel: [h, w, in, out], [h, w, out, in] if it is transposed."""
        inner = (self.images[3], self.channels)
        return (*self.kernel, *(inner[::-1] if self.transposed else inner))

    @property
    def operations(self) -> int:
        """Multiplications and additions of each of its products, those with padding included."""
        smaller = self.images if self.transposed else self.outputs
        return 2 * math.prod(smaller[:3]) * math.prod(self.weights)

    def __str__(self) -> str:
        """Returns its shape in a few words."""
        count, height, width, channels = self.images
        kind = "transposed " if self.transposed else ""
        dilation = f", dilation {self.dilation}" if self.dilation > 1 else ""
        stride = f", stride {self.stride}" if self.stride > 1 else ""
        return (
            f"{self.about}: {kind}{self.kernel[0]}x{self.kernel[1]}{stride}{dilation}, "
            f"{count}x{height}x{width}x{channels} to {self.channels}"
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Elementwise:
    """A piece that does little with each element of a tensor and is as fast as memory is.

    Attributes:
        name: of the piece.
        about: what it does.
        shape: of the tensor, channels last.
        bytes_each: that have to be read and written for an element. What a result needs of all
            elements, as a scale or a mean does, has to be known before the first is written: then
            the tensor counts as read twice, for it does not fit into a cache.
    """

    name: str
    about: str
    shape: tuple[int, int, int, int]
    bytes_each: int

    @property
    def elements(self) -> int:
        """How many it works on."""
        return math.prod(self.shape)

    @property
    def bytes(self) -> int:
        """That have to be read and written."""
        return self.elements * self.bytes_each

    def __str__(self) -> str:
        """Returns what it does, in a few words."""
        return f"{self.about}, {'x'.join(map(str, self.shape))}"


Piece = Convolution | Elementwise

_ACTIVATIONS = (4, 96, 128, 128)  # of VGG16's second stage at 192 x 256
_WEIGHTS = (7, 7, 512, 512)  # of fc6, where it is 512 wide

PIECES: tuple[Piece, ...] = (
    Convolution(
        name="vgg_conv1_2",
        about="VGG16 at 192 x 256",
        images=(4, 192, 256, 64),
        kernel=(3, 3),
        channels=64,
    ),
    Convolution(
        name="vgg_conv3",
        about="VGG16 at 192 x 256",
        images=(4, 48, 64, 256),
        kernel=(3, 3),
        channels=256,
    ),
    Convolution(
        name="vgg_conv5",
        about="VGG16 at 192 x 256",
        images=(4, 12, 16, 512),
        kernel=(3, 3),
        channels=512,
    ),
    Convolution(
        name="fcn_fc6",
        about="FCN8s at 192 x 256",
        images=(4, 6, 8, 512),
        kernel=(7, 7),
        channels=512,
    ),
    Convolution(
        name="fcn_up8",
        about="FCN8s at 192 x 256",
        images=(4, 24, 32, 11),
        kernel=(16, 16),
        channels=11,
        stride=8,
        transposed=True,
    ),
    Convolution(
        name="resnet_stride",
        about="ResNet-50 at 240 x 320",
        images=(4, 60, 80, 128),
        kernel=(3, 3),
        channels=128,
        stride=2,
    ),
    Convolution(
        name="deeplab_1x1",
        about="DeepLabv3 at 240 x 320",
        images=(4, 15, 20, 2048),
        kernel=(1, 1),
        channels=256,
    ),
    Convolution(
        name="deeplab_dilated",
        about="DeepLabv3 at 240 x 320",
        images=(4, 15, 20, 2048),
        kernel=(3, 3),
        channels=256,
        dilation=6,
    ),
    Convolution(
        name="in_cache",
        about="all operands stay in the second cache",
        images=(1, 32, 32, 256),
        kernel=(3, 3),
        channels=256,
    ),
    # E and m (a byte) twice, integers of E and of E times W's steps once.
    Elementwise(
        name="error_encoding",
        about="E of a convolution behind a ReLU, to 8 bits, and once more times W's steps",
        shape=_ACTIVATIONS,
        bytes_each=2 * (4 + 1) + 1 + 1,
    ),
    Elementwise(
        name="A_encoding",
        about="A to 8 bits, with its own scale",
        shape=_ACTIVATIONS,
        bytes_each=2 * 4 + 4,
    ),
    Elementwise(
        name="W_encoding",
        about="W to 8 bits, with a limit a channel",
        shape=_WEIGHTS,
        bytes_each=4 + 4,
    ),
    # Read for the mean, for the deviation from it, and to be normalized.
    Elementwise(
        name="batch_norm",
        about="batch norm (l1), forward",
        shape=_ACTIVATIONS,
        bytes_each=3 * 4 + 4,
    ),
    # And backward x and the error, twice.
    Elementwise(
        name="batch_norm_both_ways",
        about="batch norm (l1), forward and backward",
        shape=_ACTIVATIONS,
        bytes_each=(3 * 4 + 4) + (2 * (4 + 4) + 4),
    ),
    # G and, for its decay, W twice, the velocity once; W and the velocity are written.
    Elementwise(
        name="update",
        about="decay, G, momentum and U of a master weight",
        shape=_WEIGHTS,
        bytes_each=2 * (4 + 4) + 4 + (4 + 4),
    ),
)
"""What is measured by default: of the networks that the suite training measures."""


def as_plain(piece: Piece) -> dict[str, Any]:
    """Returns a piece as JSON holds it; `from_plain` reads it."""
    return {"kind": type(piece).__name__, **dataclasses.asdict(piece)}


def from_plain(plain: dict[str, Any]) -> Piece:
    """Returns the piece that `as_plain` made plain."""
    fields: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in plain.items()
        if name != "kind"
    }
    return Convolution(**fields) if plain["kind"] == "Convolution" else Elementwise(**fields)
