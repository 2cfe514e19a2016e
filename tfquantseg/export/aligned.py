"""Flatbuffers whose constants lie where kernels can read them in place."""

import dataclasses
from typing import Any

import flatbuffers
from ai_edge_litert import schema_py_generated as schema

IDENTIFIER = b"TFL3"
ABOUT = "tfquantseg"
"""Name of the metadata in which a file says of what data and classes it is."""

_ALIGNMENT = 16  # bytes


@dataclasses.dataclass
class AlignedBuffer:
    """A buffer at a multiple of 16 bytes, in place of the generated class, which takes any place.

    Attributes:
        data: what it holds; empty for that of computed tensors.
    """

    data: bytes

    def Pack(self, builder: flatbuffers.Builder) -> int:
        """Writes it, as the generated classes' method of this name does."""
        vector = None
        if self.data:
            builder.StartVector(1, len(self.data), _ALIGNMENT)
            builder.head -= len(self.data)
            builder.Bytes[builder.head : builder.head + len(self.data)] = self.data
            vector = builder.EndVector()
        schema.BufferStart(builder)
        if vector is not None:
            schema.BufferAddData(builder, vector)
        return int(schema.BufferEnd(builder))


def pack_model(model: Any) -> bytes:
    """Returns the content of a `.tflite` file.

    Args:
        model: a `ModelT` of the generated classes, its buffers `AlignedBuffer` or theirs.
    """
    buffers = [
        one if isinstance(one, AlignedBuffer) else AlignedBuffer(_bytes(one.data))
        for one in model.buffers
    ]
    model.buffers = buffers
    builder = flatbuffers.Builder(sum(len(buffer.data) for buffer in buffers) + 2**16)
    builder.Finish(model.Pack(builder), IDENTIFIER)
    return bytes(builder.Output())


def _bytes(data: Any) -> bytes:
    """What a generated buffer holds: nothing, a list of numbers, bytes or an array."""
    return b"" if data is None else bytes(data)
