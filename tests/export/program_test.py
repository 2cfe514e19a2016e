"""A file of any images and outputs, run."""

import numpy as np
import pytest

from tests.export import files
from tfquantseg.export.program import FileProgram
from tfquantseg.export.runtime import FileNetwork


def test_a_segmenters_outputs_are_its_networks() -> None:
    content = files.segmenter()
    image = np.random.default_rng(0).integers(0, 256, (*files.SIZE, 3)).astype(np.uint8)
    (logits,) = FileProgram(content)(image)
    np.testing.assert_array_equal(logits, FileNetwork(content)(image))
    assert FileProgram(content).about == {}


@pytest.mark.parametrize("images", [(), ((24, 32, 3),) * 2, ((24, 32, 1),)])
def test_other_images_are_refused(images) -> None:
    program = FileProgram(files.segmenter())
    given = [np.zeros(shape, np.uint8) for shape in images]
    with pytest.raises(ValueError, match=r"takes images of \[\(24, 32, 3\)\], received \["):
        program(*given)


def test_bytes_are_taken_and_nothing_else() -> None:
    with pytest.raises(ValueError, match="received int16"):
        FileProgram(files.segmenter())(np.zeros((*files.SIZE, 3), np.int16))


def test_what_is_no_file_is_refused() -> None:
    with pytest.raises(ValueError, match=r"the file can't be run: it is no TensorFlow Lite file"):
        FileProgram(b"nothing of the kind")
