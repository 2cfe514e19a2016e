"""A run that a command reads: its flags, its config and its checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from absl import flags

if TYPE_CHECKING:
    from ml_collections import ConfigDict

    from tfquantseg.training.checkpoints import Checkpoint

INTEGER = "INTEGER E_scale=per_vector"
"""The policy that is advised for a network that was trained in float32: with one scale of errors a
tensor, deep pretrained ones forget what they know (docs/results/lite0.md)."""


class Run(NamedTuple):
    """A run's config, and one of its checkpoints."""

    config: ConfigDict
    checkpoint: Checkpoint


def define_workdir(values: flags.FlagValues, *, required: bool) -> None:
    """Defines `--workdir` and `--checkpoint`."""
    what = "Folder that a training made." + (" Required." if required else "")
    flags.DEFINE_string("workdir", None, what, flag_values=values)
    if required:
        flags.mark_flag_as_required("workdir", flag_values=values)
    flags.DEFINE_enum(
        "checkpoint",
        "last",
        ["best", "last"],
        "Which checkpoint: of the latest step, or of the highest mIoU while training.",
        flag_values=values,
    )


def define_scales(values: flags.FlagValues) -> None:
    """Defines `--scales`."""
    flags.DEFINE_enum(
        "scales",
        "running",
        ["running", "dynamic"],
        "Scales of the activations: estimated while training, or those of what is predicted.",
        flag_values=values,
    )


def define_delegate(values: flags.FlagValues) -> None:
    """Defines `--delegate`."""
    flags.DEFINE_string(
        "delegate",
        None,
        "Library that runs a .tflite file, such as libedgetpu.so.1 for a Coral board.",
        flag_values=values,
    )


def check_delegate(values: flags.FlagValues) -> None:
    """Checks that there is a file for `--delegate`.

    Raises:
        ValueError: There is none.
    """
    if values.delegate and not (values.model or "").endswith(".tflite"):
        raise ValueError("--delegate runs a .tflite file; give one as --model, or leave it out.")


def load(workdir: str, which: Literal["best", "last"]) -> Run:
    """Reads a run.

    Args:
        workdir: What was given as `--workdir`.
        which: What was given as `--checkpoint`.

    Raises:
        FileNotFoundError: It is no work directory, or has no checkpoint.
        ValueError: Its config or its checkpoint is damaged, or they do not belong together.
    """
    from ml_collections import ConfigDict

    from tfquantseg.training import checkpoints, recipe
    from tfquantseg.training import workdir as files

    path = Path(workdir)
    config = ConfigDict(files.read_config(path))
    checkpoint = checkpoints.find(path / files.CHECKPOINTS, which)
    checkpoints.check_config(checkpoint, recipe.plain(config))
    return Run(config, checkpoint)


def unfinished(workdir: str, config: ConfigDict, checkpoint: Checkpoint) -> str:
    """The beginning of a sentence where a checkpoint is not of the recipe's last step, else "".

    Args:
        workdir: What was given as `--workdir`.
        config: The run's config.
        checkpoint: The one that was taken.
    """
    from tfquantseg.training import checkpoints
    from tfquantseg.training import workdir as files

    if checkpoint.step == config.steps:
        return ""
    path = Path(workdir)
    newest = checkpoints.newest(path / files.CHECKPOINTS) or checkpoint
    process = files.trainer(path)
    now = f" (and process {process} trains there now)" if process else ""
    return f"This run has saved step {newest.step} of {config.steps}{now}"
