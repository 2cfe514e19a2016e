"""Shows what the convolution kernels of one real training step receive, product by product.

Examples:
  audit
      The default recipe.
  audit --config=configs/camvid_fcn8s.py --json=audit.json --dump=golden
      Another recipe; for machines too, and with every integer.

It exits with 1 where an operand needs more bits than its layer's policy promises. --dump writes,
for every tensor and variable, the integers and the step of W, A, E1, E2, G and U as .npz: golden
vectors for those who build hardware.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from absl import flags

from tfquantseg.cli import command, outputs, recipes

BROKEN_PROMISE = 1


def main(argv: Sequence[str]) -> int:
    """Audits; `argv` is the command line. Returns the exit code."""
    line = recipes.with_path(argv)
    return command.execute(line, about=__doc__ or "", define=_define, work=_audit)


def run() -> None:
    """The program."""
    command.run(main)


def _define(values: flags.FlagValues, argv: list[str]) -> None:
    recipes.define_config(values, argv)
    outputs.define_json(values, "the audit")
    flags.DEFINE_string(
        "dump",
        None,
        "Write golden vectors to this folder, new or empty, one .npz an object.",
        flag_values=values,
    )


def _audit(values: flags.FlagValues) -> int:
    from tfquantseg.analysis import golden
    from tfquantseg.analysis.audit import audit
    from tfquantseg.training import parts, recipe, sizes
    from tfquantseg.training.step import training_batches

    dump = values["dump"].value
    if dump is not None:
        golden.check_free(Path(dump))
    json_to = outputs.json_path(values)
    config = values.config
    recipe.check(config)
    parts.deterministic(config.seed)
    data = parts.data(config, config.data.train)
    model = parts.model(config, len(data.classes))
    sizes.check_training(model, config)
    optimizer = parts.optimizer(config)
    optimizer.build(model.trainable_variables)
    loss = parts.loss(config, data)
    images, labels = next(training_batches(config, data, 0))
    result = audit(
        model,
        lambda y, logits: loss(y, logits, data.ignore_label),
        optimizer,
        images,
        labels,
        with_taps=dump is not None,
    )
    print(f"{result}\n")
    print("The network is a new one of this recipe, with its initial weights.")
    report = result.to_json()
    print(
        f"{report['share_of_operands_within_8_bits']:.0%} of {report['operands']} operands of "
        f"{len(report['convolutions'])} convolutions are integers of at most 8 bits."
    )
    for problem in result.problems:
        print(f"Broken promise: {problem}")
    if json_to:
        print(f"JSON    {outputs.write_json(json_to, report)}")
    if dump is not None:
        count = golden.write(Path(dump), result.taps)
        print(f"Golden  {command.shown(Path(dump))} ({count} files)")
    print("Next:")
    print(f"  {command.command_line('train')} {recipes.arguments(values)}")
    return 0 if result.ok else BROKEN_PROMISE
