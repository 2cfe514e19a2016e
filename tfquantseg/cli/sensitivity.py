"""Quantizes each object of each layer alone, and proposes which layers need more bits.

Examples:
  sensitivity --workdir=my-float-run
      What W, A, E1, E2 and G of each layer cost at INTEGER's 8 bits; to my-float-run/sensitivity.
  sensitivity --workdir=my-float-run --policy='INTEGER k_W=4 k_A=6'
      With fewer bits, and which layers to leave at INTEGER's 8.
  sensitivity --workdir=my-integer-run --layers='decoder.*' --objects=W,A
      Some layers of a network that was trained in integers, taken as float.

Objects are those of the method: W weight, A activation, E1 error of an activation, E2 error at a
convolution's output, G gradient of the weight. Each is quantized alone, everything else stays in
float32. W and A are measured on held out images, by the rise of the loss and the change of mIoU;
E1, E2 and G on training batches, by the lost descent: 1 - cos of the gradient of all kernels and
that in float32.

The folder --out then holds sensitivity_forward and sensitivity_backward, .png and .csv, and
rules.txt: the fewest layers whose lifting to --better brings what all others cost together below
--rise and --lost. The rules are checked once, with everything quantized at once. To train:
  train ... --config.policy=POLICY --config.rules="$(cat rules.txt)"
and in Python, tfquantseg.Rules of the pairs that ast.literal_eval reads in it.
"""

from __future__ import annotations

import dataclasses
import itertools
import re
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from absl import flags

from tfquantseg.cli import command, outputs, runs

if TYPE_CHECKING:
    import keras
    from ml_collections import ConfigDict

    from tfquantseg.analysis.figure import Figure
    from tfquantseg.analysis.forward_cost import Level
    from tfquantseg.analysis.mixed_bits import Proposal
    from tfquantseg.analysis.sensitivity import Batches, Finding, Object
    from tfquantseg.losses import Loss
    from tfquantseg.policy import Policy
    from tfquantseg.transform import Plan

_RULES = "rules.txt"
_SHOWN = 8  # rows of the table, of each direction
_BATCH = 4  # images of a training batch, at most: what flows through a network takes memory


def main(argv: Sequence[str]) -> int:
    """Measures; `argv` is the command line. Returns the exit code."""
    return command.execute(argv, about=__doc__ or "", define=_define, work=_sensitivity)


def run() -> None:
    """The program."""
    command.run(main)


def _define(values: flags.FlagValues, argv: list[str]) -> None:
    del argv
    runs.define_workdir(values, required=True)
    flags.DEFINE_string(
        "policy",
        "INTEGER",
        "What is measured: a preset, with changes if wished.",
        flag_values=values,
    )
    flags.DEFINE_string(
        "better",
        None,
        "Whose bits a lifted layer gets. Default: INTEGER, or FLOAT where no fewer are measured.",
        flag_values=values,
    )
    flags.DEFINE_string(
        "layers",
        ".*",
        "Layers to measure and to lift: a regular expression of whole names.",
        flag_values=values,
    )
    flags.DEFINE_list(
        "objects", ["W", "A", "E1", "E2", "G"], "Objects to measure.", flag_values=values
    )
    flags.DEFINE_integer(
        "batches", 4, "Batches to measure on, held out and of training.", 1, flag_values=values
    )
    flags.DEFINE_float(
        "rise",
        0.05,
        "The rise of the loss that is accepted of W and A, as a share of the loss in float32.",
        0.0,
        flag_values=values,
    )
    flags.DEFINE_float(
        "lost", 0.05, "The lost descent that is accepted of E and G.", 0.0, flag_values=values
    )
    flags.DEFINE_string(
        "out",
        None,
        "Folder to write to. Default: sensitivity in the work directory.",
        flag_values=values,
    )
    outputs.define_overwrite(values, "figures and rules there")
    outputs.define_json(values, "all numbers")


class _Subject(NamedTuple):
    """A float network, and what it is measured on."""

    model: keras.Model
    config: ConfigDict
    loss: Loss
    ignore: int
    classes: int
    held_out: Batches
    training: Batches


def _sensitivity(values: flags.FlagValues) -> int:
    from tfquantseg.analysis import figure, forward_cost, mixed_bits, sensitivity_figures
    from tfquantseg.training import parts, whole

    letters = _letters(values.objects)
    base, better = _policies(values)
    folder = Path(values.out) if values.out else Path(values.workdir) / "sensitivity"
    json_to = outputs.json_path(values)
    figure.check_free(sensitivity_figures.NAMES, folder, overwrite=values.overwrite)
    outputs.check_free(folder / _RULES, values)
    config, checkpoint = runs.load(values.workdir, values.checkpoint)
    parts.deterministic(config.seed)
    subject = _subject(values, config, checkpoint)
    planned, chosen = _objects(subject.model, base, letters, values.layers)
    folder.mkdir(parents=True, exist_ok=True)
    exact = forward_cost.level(
        subject.model, subject.loss, subject.ignore, subject.classes, subject.held_out
    )
    findings = _findings(subject, planned, chosen)
    accepted = {"loss_rise": values.rise * exact.loss, "lost_descent": values.lost}
    proposal = mixed_bits.propose(
        findings,
        chosen,
        base=base.name,
        better=better,
        loss=accepted["loss_rise"],
        lost=accepted["lost_descent"],
    )
    print("Checking the rules, with everything quantized at once", flush=True)
    checks = {"none lifted": _checked(subject, exact, (), base.name)}
    if proposal.pairs:
        checks["these rules"] = _checked(subject, exact, proposal.pairs, base.name)
    figures = _figures(f"{subject.model.name} on {config.data.name}, {base.name}", findings, exact)
    for one in figures:
        one.write(folder)
    whole.write_whole(folder / _RULES, proposal.text().encode())
    print(_table(findings))
    print(_summary(exact, proposal, checks, (base, better), accepted))
    where = command.shown(folder)
    print(f"Figures  {', '.join(f'{where}/{one.name}.png, .csv' for one in figures)}")
    print(f"Rules    {where}/{_RULES}")
    if json_to:
        content = {
            "network": subject.model.name,
            "data": config.data.name,
            "step": checkpoint.step,
            "policy": base.name,
            "better": better.name,
            "float32": dataclasses.asdict(exact),
            "findings": [one._asdict() for one in findings],
            "rules": [list(pair) for pair in proposal.pairs],
            "lifted": {"forward": list(proposal.forward), "backward": list(proposal.backward)},
            "accepted": accepted,
            "predicted": {"loss_rise": proposal.loss, "lost_descent": proposal.lost},
            "measured": checks,
        }
        print(f"JSON     {outputs.write_json(json_to, content)}")
    print("Next:")
    print(
        f"  {command.command_line('train')} --config=RECIPE "
        f"{shlex.quote(f'--config.policy={base.name}')} "
        f'--config.rules="$(cat {shlex.quote(f"{where}/{_RULES}")})" --workdir=mixed'
    )
    return 0


def _letters(asked: Sequence[str]) -> tuple[str, ...]:
    from tfquantseg.analysis.sensitivity import LETTERS
    from tfquantseg.names import unknown_name

    for letter in asked:
        if letter not in LETTERS:
            raise unknown_name("object", letter, LETTERS)
    return tuple(letter for letter in LETTERS if letter in asked)


def _policies(values: flags.FlagValues) -> tuple[Policy, Policy]:
    """What is measured, and what a lifted layer gets.

    Raises:
        ValueError: one is not known, or the first quantizes nothing.
    """
    from tfquantseg.analysis.sensitivity import LETTERS
    from tfquantseg.policy import preset

    base = preset(values.policy)
    if base.is_float:
        raise ValueError(
            f"--policy is {values.policy!r}, which quantizes nothing; give what is to be measured, "
            "such as INTEGER."
        )
    integer = preset("INTEGER")
    bits = [(getattr(base, f"k_{one}"), getattr(integer, f"k_{one}")) for one in LETTERS]
    coarser = any(here is not None and here < there for here, there in bits)
    return base, preset(values.better or ("INTEGER" if coarser else "FLOAT"))


def _subject(values: flags.FlagValues, config: ConfigDict, checkpoint: Any) -> _Subject:
    """The float network of a run, and batches.

    Raises:
        ValueError: its weights are no numbers, or the data cannot be read.
    """
    from tfquantseg.analysis.as_float import copy_masters
    from tfquantseg.data import batches
    from tfquantseg.training import loaded, parts
    from tfquantseg.training.evaluation import load_model
    from tfquantseg.training.some_images import evenly
    from tfquantseg.training.step import readable, training_batches

    model = load_model(checkpoint)
    loaded.check_finite(model, str(checkpoint.path))
    training = parts.data(config, config.data.train)
    if loaded.is_quantized(model):
        as_float = config.copy_and_resolve_references()
        as_float.policy, as_float.rules = "FLOAT", ()
        quantized, model = model, parts.model(as_float, len(training.classes))
        copy_masters(quantized, model)
    held_out = evenly(parts.data(config, config.data.val), values.batches * config.data.batch)
    dataset = batches(
        held_out,
        batch=config.data.batch,
        training=False,
        size=tuple(config.data.size),
        fit=config.data.fit,
        multiple=config.data.multiple,
    )
    steps = itertools.islice(training_batches(config, training, checkpoint.step), values.batches)
    return _Subject(
        model=model,
        config=config,
        loss=parts.loss(config, training),
        ignore=training.ignore_label,
        classes=len(training.classes),
        held_out=[(images.numpy(), labels.numpy()) for images, labels in readable(dataset)],
        training=[(images.numpy()[:_BATCH], labels.numpy()[:_BATCH]) for images, labels in steps],
    )


def _objects(
    model: keras.Model, base: Policy, letters: Sequence[str], pattern: str
) -> tuple[Plan, tuple[Object, ...]]:
    """The plan of the network, and the objects to measure.

    Raises:
        ValueError: the pattern is none, or matches none; or the policy quantizes nothing of them.
    """
    from tfquantseg.analysis.sensitivity import objects
    from tfquantseg.names import did_you_mean

    planned, found = objects(model, base)
    names = tuple(dict.fromkeys(one.layer for one in found))
    try:
        chosen = [one for one in found if re.fullmatch(pattern, one.layer)]
    except re.error as error:
        raise ValueError(f"--layers {pattern!r} is no regular expression: {error}.") from None
    if not chosen:
        raise ValueError(
            f"--layers {pattern!r} matches no layer with an object{did_you_mean(pattern, names)}; "
            f"there are {', '.join(names)}."
        )
    measured = tuple(one for one in chosen if one.letter in letters)
    if not measured:
        raise ValueError(
            f"--policy {base.name!r} quantizes none of {', '.join(letters)} in these layers; give "
            "another --policy or --objects."
        )
    return planned, measured


def _findings(subject: _Subject, planned: Plan, chosen: Sequence[Object]) -> list[Finding]:
    from tfquantseg.analysis import backward_cost, forward_cost
    from tfquantseg.analysis.sensitivity import BACKWARD, FORWARD
    from tfquantseg.training.bar import Count

    findings: list[Finding] = []
    if count := sum(one.letter in FORWARD for one in chosen):
        findings += forward_cost.forward(
            planned,
            chosen,
            subject.loss,
            subject.ignore,
            subject.classes,
            subject.held_out,
            seen=Count(count, "objects evaluated", sys.stderr).step,
        )
    if count := sum(one.letter in BACKWARD for one in chosen):
        findings += backward_cost.backward(
            planned,
            chosen,
            subject.loss,
            subject.ignore,
            subject.training,
            subject.config.seed,
            seen=Count(count * len(subject.training), "backward passes", sys.stderr).step,
        )
    return findings


def _checked(
    subject: _Subject, exact: Level, pairs: Sequence[tuple[str, str]], base: str
) -> dict[str, float]:
    """What a policy costs with everything quantized at once."""
    from tfquantseg.analysis import backward_cost, forward_cost, mixed_bits
    from tfquantseg.transform import quantize

    rules = mixed_bits.rules_of(pairs, base)
    found = forward_cost.level(
        quantize(subject.model, rules),
        subject.loss,
        subject.ignore,
        subject.classes,
        subject.held_out,
    )
    lost = backward_cost.lost_when_all(
        subject.model,
        rules,
        mixed_bits.without_backward(pairs, base),
        subject.loss,
        subject.ignore,
        subject.training,
        subject.config.seed,
    )
    return {
        "loss_rise": found.loss - exact.loss,
        "miou_change": found.miou - exact.miou,
        "lost_descent": lost,
    }


def _figures(title: str, findings: Sequence[Finding], exact: Level) -> list[Figure]:
    from tfquantseg.analysis import sensitivity_figures as figures
    from tfquantseg.analysis.sensitivity import BACKWARD, FORWARD

    made = []
    if figures.ranked(findings, FORWARD):
        made.append(figures.forward(findings, title, exact.loss))
    if figures.ranked(findings, BACKWARD):
        made.append(figures.backward(findings, title))
    return made


def _table(findings: Sequence[Finding]) -> str:
    """The costliest objects of each direction."""
    from tfquantseg.analysis.sensitivity import BACKWARD, FORWARD
    from tfquantseg.analysis.sensitivity_figures import ranked

    width = max(len(one.layer) for one in findings)
    lines = []
    if some := ranked(findings, FORWARD):
        lines.append(f"{'layer':{width}}  object  rise of the loss  change of mIoU")
        for one in some[:_SHOWN]:
            lines.append(
                f"{one.layer:{width}}  {one.letter:6}  {one.loss:+16.5f}  {one.miou:+14.2%}"
            )
        lines.append("")
    if some := ranked(findings, BACKWARD):
        lines.append(f"{'layer':{width}}  object  lost descent  own cosine  own relative error")
        for one in some[:_SHOWN]:
            line = f"{one.layer:{width}}  {one.letter:6}  {one.lost:12.5f}"
            if one.cosine is not None:
                line += f"  {one.cosine:10.5f}  {one.error:18.4f}"
            lines.append(line)
        lines.append("")
    return "\n".join(lines)


def _summary(
    exact: Level,
    proposal: Proposal,
    checks: dict[str, dict[str, float]],
    policies: tuple[Policy, Policy],
    accepted: dict[str, float],
) -> str:
    """What is proposed, predicted and measured."""
    base, better = policies
    lines = [f"In float32: loss {exact.loss:.5f}, mIoU {exact.miou:.2%}."]
    for what, names in (("W and A", proposal.forward), ("E1, E2 and G", proposal.backward)):
        layers = ", ".join(names) or "of no layer"
        lines.append(f"{what} lifted to those of {better.name}: {layers}.")
    lines.append(
        f"Predicted of the others: the loss {proposal.loss:+.5f}, lost descent {proposal.lost:.4f}."
    )
    for what, found in checks.items():
        lines.append(
            f"Measured at once, {what}: the loss {found['loss_rise']:+.5f}, mIoU "
            f"{found['miou_change']:+.2%}, lost descent {found['lost_descent']:.4f}."
        )
    last = list(checks.values())[-1]
    for flag, name in (("rise", "loss_rise"), ("lost", "lost_descent")):
        if last[name] > accepted[name]:
            lines.append(
                f"That is more than the {accepted[name]:.5f} that was accepted: costs do not add "
                f"up here. Give a lower --{flag}, and see."
            )
    if last["lost_descent"] > accepted["lost_descent"] and base.E_scale == "per_tensor":
        lines.append(
            "The noise of errors adds up over many layers. A step for each vector of errors has "
            f"less of it: --policy='{base.name} E_scale=per_vector'."
        )
    return "\n".join([*lines, ""])
