"""The shape of the file that commands write: what they take."""

import dataclasses
import shlex
import types

import pytest
from absl import flags

from tfquantseg.cli import file_shape
from tfquantseg.export.network import Network, Tensor

_LOGITS = Tensor("logits", (4, 4, 2), 0.1)
_ONE = Network("net", Tensor("image", (4, 4, 3), 2.0**-7), (), _LOGITS, {})


@pytest.mark.parametrize(
    ("several", "counted"),
    [
        ({"more_images": (Tensor("depth", (4, 4, 1), 2.0**-7),)}, r"2 input\(s\) and 1 output"),
        ({"more_logits": (_LOGITS,)}, r"1 input\(s\) and 2 output"),
    ],
)
def test_several_inputs_or_outputs_are_for_python(several, counted: str) -> None:
    values = types.SimpleNamespace(logits="full")
    assert file_shape.with_output(values, _ONE) is _ONE
    with pytest.raises(
        ValueError, match=rf"'net' has {counted}.* In Python tfquantseg\.export takes any number"
    ):
        file_shape.with_output(values, dataclasses.replace(_ONE, **several))


def test_the_same_command_at_a_stride_can_be_typed_again() -> None:
    values = flags.FlagValues()
    file_shape.define(values)
    flags.DEFINE_string("workdir", None, "", flag_values=values)
    flags.DEFINE_integer("images", 20, "", flag_values=values)
    values(["convert", "--workdir=my run", "--size=72,80", "--logits=full"])
    again = file_shape.again_at_stride(values)
    assert sorted(shlex.split(again)) == ["--logits=stride", "--size=72,80", "--workdir=my run"]
    values(["convert", *shlex.split(again)])
    assert (values.workdir, values.logits, values.size) == ("my run", "stride", ["72", "80"])
