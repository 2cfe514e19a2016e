"""Compares the ways to an int8 .tflite of one trained float network, on its own data.

Examples:
  compare --workdir=my-float-run
      float32, float32 trained on for 300 steps, TensorFlow's post-training quantization, and ours,
      fine-tuned for as many; to my-float-run/compare.
  compare --workdir=my-float-run --steps=2000 --rate=0.0078125 --out=compared
      More steps, at another learning rate.
  compare --workdir=my-float-run --integer=my-integer-run
      Ours is what another run has trained in integers, as it is.

The float network is that of a training with --config.policy=FLOAT. What trains on (float32, tfmot's
quantization aware training, and ours) does so for the same steps, on the same images, at the same
learning rate. Every file is then scored on the split that the run was validated on, and all take
turns at the clock. The folder --out holds the files, comparison.md and comparison.json, and the
first images as each file sees them, panels.png and panels.csv.

The same command again keeps the files that are there, and makes what is missing; one with other
settings is refused. The exit code is 1 where our certificate is broken.

tfmot's packages exclude ours, so its file needs another interpreter, which is made on demand:
  --peers_python=$(./bazelw run //tools:peers_python -- -c 'import sys; print(sys.executable)')
Its twin of the network is built of Keras's own layers, by their names and weights; a layer that has
no twin there is named before the work.
"""

from __future__ import annotations

import hashlib
import json
import math
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from absl import flags

from tfquantseg.cli import command, file_shape, runs

if TYPE_CHECKING:
    import keras

    from tfquantseg.benchmark.comparison import Entry
    from tfquantseg.benchmark.contestants import Made, Options, Subject
    from tfquantseg.benchmark.suite import Row

BROKEN_PROMISE = 1
# A float network has the standard deviation in its batch norms; the mean deviation of INTEGER alone
# is another function, which costs 0.4 points after 300 steps (docs/results/lite0.md).
_POLICY = f"{runs.INTEGER} norm=l2"
_STOPPED = "The same command again keeps the files that are made, and goes on with what is missing."
_PAGE, _JSON, _PANELS = "comparison.md", "comparison.json", "panels"


def main(argv: Sequence[str]) -> int:
    """Compares; `argv` is the command line. Returns the exit code."""
    return command.execute(
        argv, about=__doc__ or "", define=_define, work=_compare, stopped=_STOPPED
    )


def run() -> None:
    """The program."""
    command.run(main)


def _define(values: flags.FlagValues, argv: list[str]) -> None:
    del argv
    runs.define_workdir(values, required=True)
    file_shape.define_size(values)
    flags.DEFINE_string(
        "integer",
        None,
        "Folder of a training in integers of the same network on the same data: ours, as it is.",
        flag_values=values,
    )
    flags.DEFINE_list(
        "variants",
        [],
        "Of float32_on, stock_ptq, tfmot_qat and ours, those to make beside float32. Default: all.",
        flag_values=values,
    )
    flags.DEFINE_integer("steps", 300, "Training steps of each that trains.", 1, flag_values=values)
    flags.DEFINE_float(
        "rate",
        None,
        "Learning rate of these steps. Default: that of the recipe's last step.",
        0.0,
        flag_values=values,
    )
    flags.DEFINE_string(
        "policy",
        _POLICY,
        "Preset of ours, with changes if wished. The default's errors keep one scale a vector, "
        "without which deep pretrained networks forget what they know, and its batch norm the "
        "deviation of the float network.",
        flag_values=values,
    )
    flags.DEFINE_integer(
        "calibration",
        32,
        "Images of the training split that ranges of activations are taken from.",
        1,
        flag_values=values,
    )
    flags.DEFINE_integer(
        "images", 20, "Images on which file and graph are compared.", 1, flag_values=values
    )
    flags.DEFINE_integer("rounds", 30, "Turns of each file at the clock.", 1, flag_values=values)
    flags.DEFINE_integer(
        "threads", None, "Threads of each file. Default: all cores.", 1, flag_values=values
    )
    flags.DEFINE_string(
        "peers_python", None, "The interpreter of peers.lock, for tfmot.", flag_values=values
    )
    flags.DEFINE_string(
        "out",
        None,
        "Folder to write to. Default: compare in the work directory.",
        flag_values=values,
    )


def _compare(values: flags.FlagValues) -> int:
    from tfquantseg.benchmark import comparison, contestants, machine, suite, worker
    from tfquantseg.training import parts, whole

    if values.rate is not None and not 0 < values.rate < math.inf:
        raise ValueError(f"--rate is {values.rate:g}; give a number above 0, or leave it out.")
    names = suite.chosen("variant", values.variants, contestants.TITLES)
    python = Path(values.peers_python).absolute() if values.peers_python else None
    if values.integer and "ours" not in names:
        raise ValueError("--integer is ours, which --variants leaves out; leave out one of them.")
    _check_trains(values, names)
    names, left_out = worker.available(names, contestants.BASE, contestants.OF_PEERS, python)
    config, checkpoint = runs.load(values.workdir, values.checkpoint)
    parts.deterministic(config.seed)
    subject = _subject(values, config, checkpoint)
    integer = _integer(values, subject) if values.integer else None
    options = _options(values, subject)
    if set(names) & set(contestants.OF_PEERS):
        contestants.check_described(subject)
    if "ours" in names and integer is None:
        contestants.check_policy(subject, options.policy)
    folder = Path(values.out) if values.out else Path(values.workdir) / "compare"
    folder.mkdir(parents=True, exist_ok=True)
    for name in (_PAGE, _JSON, f"{_PANELS}.png", f"{_PANELS}.csv"):
        whole.check_writable(folder / name)
    settings = _settings(options, subject, _sha256(checkpoint.model), integer)
    # What an earlier call made otherwise is met before the work.
    there = {name: comparison.kept(folder, name, settings[name]) for name in names}
    makers = _makers(subject, options, python, integer)
    load = machine.load()
    entries: list[Entry] = []
    for name in names:
        entry = there[name]
        if entry is None:
            print(f"Making  {contestants.TITLES[name]}", flush=True)
            entry = comparison.keep(folder, name, settings[name], makers[name]())
        else:
            print(f"Kept    {command.shown(entry.path)} of an earlier call", flush=True)
        entries.append(entry)
    trained = dict.fromkeys((*contestants.OF_PEERS, "float32_on"), options.steps)
    trained["ours"] = integer.step if integer else options.steps
    rows = comparison.rows(
        entries, subject, options, trained=trained, rounds=values.rounds, progress=_progress
    )
    about = {
        **machine.about(options.threads, load),
        "workdir": command.shown(Path(values.workdir)),
        "integer": command.shown(Path(values.integer)) if values.integer else None,
        "network": subject.model.name,
        "step": subject.step,
        "data": subject.held_out.name,
        "split": subject.held_out.split,
        "split_images": len(subject.held_out),
        "size": list(subject.size),
        "learning_rate": options.learning_rate,
        "calibration": options.calibration,
        "images": options.images,
    }
    said = _said(about, options, names, integer, left_out)
    page = comparison.page(rows, said)
    content = {**about, "rows": [dict(row) for row in rows], "left_out": list(left_out)}
    whole.write_whole(folder / _JSON, json.dumps(content, indent=2).encode() + b"\n")
    whole.write_whole(folder / _PAGE, page.encode())
    _panels(subject, entries).write(folder)
    print(f"\n{comparison.shown(rows)}\n", *said, sep="\n")
    where = command.shown(folder)
    print(f"\nPage      {where}/{_PAGE}, comparison.json")
    print(f"Pictures  {where}/{_PANELS}.png, .csv")
    print(f"Files     {', '.join(f'{where}/{entry.path.name}' for entry in entries)}")
    _print_next(values, folder, names)
    return BROKEN_PROMISE if _broken(rows) else 0


def _check_trains(values: flags.FlagValues, names: Sequence[str]) -> None:
    """Refuses settings of a training where nothing is trained."""
    trains = {"float32_on", "tfmot_qat", *([] if values.integer else ["ours"])} & set(names)
    for flag in ("steps", "rate"):
        if values[flag].present and not trains:
            raise ValueError(
                f"--{flag} is for what trains on, and of {', '.join(names)} nothing does; leave "
                "it out."
            )


class _Integer(NamedTuple):
    """A network that was trained in integers."""

    model: keras.Model
    step: int
    sha256: str


def _subject(values: flags.FlagValues, config: Any, checkpoint: Any) -> Subject:
    """The float network and its data.

    Raises:
        ValueError: it multiplies integers, or is not sound.
    """
    from tfquantseg.benchmark.contestants import Subject
    from tfquantseg.training import loaded, parts
    from tfquantseg.training.evaluation import load_model

    model = load_model(checkpoint)
    if loaded.is_quantized(model):
        raise ValueError(
            f"{values.workdir} was trained with {config.policy}: compared are ways from a float "
            "network. Give as --workdir a training with --config.policy=FLOAT, and this one as "
            "--integer."
        )
    loaded.check_finite(model, str(checkpoint.path))
    held_out = parts.data(config, config.data.val)
    subject = Subject(
        model=model,
        config=config,
        step=checkpoint.step,
        training=parts.data(config, config.data.train),
        held_out=held_out,
        size=file_shape.size_of(values, model, config, held_out),
    )
    assert subject.body is not None  # What does not begin with a rescaling is refused here.
    return subject


def _integer(values: flags.FlagValues, subject: Subject) -> _Integer:
    """The network that another run has trained in integers.

    Raises:
        ValueError: it computes in float32, or is of another network or other data.
    """
    from tfquantseg.export import freeze
    from tfquantseg.training import loaded, recipe
    from tfquantseg.training.evaluation import load_model

    if values["policy"].present:
        raise ValueError("--policy is for what is fine-tuned here; leave it out with --integer.")
    config, checkpoint = runs.load(values.integer, values.checkpoint)
    told = [
        f"config.{key} is {one!r} there and {other!r} in --integer"
        for key, one, other in recipe.differences(
            recipe.plain(subject.config), recipe.plain(config)
        )
        if key.startswith(("model.", "data.name", "data.options", "data.val"))
    ]
    if told:
        raise ValueError(
            f"{values.integer} is of another network or other data than {values.workdir}: "
            f"{', '.join(told)}. Give runs of one recipe."
        )
    model = load_model(checkpoint)
    if not loaded.is_quantized(model):
        raise ValueError(
            f"{values.integer} was trained with {config.policy}, in float32; leave out --integer, "
            "and ours is made of --workdir."
        )
    loaded.check_finite(model, str(checkpoint.path))
    freeze(model, *subject.size)  # What has no file is refused before the work.
    return _Integer(model, checkpoint.step, _sha256(checkpoint.model))


def _options(values: flags.FlagValues, subject: Subject) -> Options:
    from tfquantseg.benchmark import machine
    from tfquantseg.benchmark.contestants import Options
    from tfquantseg.training.fine_tuning import last_learning_rate

    return Options(
        steps=values.steps,
        learning_rate=(last_learning_rate(subject.config) if values.rate is None else values.rate),
        calibration=values.calibration,
        images=values.images,
        policy=values.policy,
        threads=values.threads or machine.cores(),
    )


def _settings(
    options: Options, subject: Subject, sha256: str, integer: _Integer | None
) -> dict[str, dict[str, Any]]:
    """By variant, all that its file depends on."""
    common = {"network": sha256, "size": list(subject.size), "images": options.images}
    measured = {**common, "calibration": options.calibration}
    training = {"steps": options.steps, "rate": options.learning_rate}
    ours = {**training, "policy": options.policy, "integer": None}
    if integer:
        ours = {"steps": None, "rate": None, "policy": None, "integer": integer.sha256}
    return {
        "float32": common,
        "float32_on": {**common, **training},
        "stock_ptq": measured,
        "tfmot_qat": {**measured, **training},
        "ours": {**common, **ours},
    }


def _makers(
    subject: Subject, options: Options, python: Path | None, integer: _Integer | None
) -> dict[str, Callable[[], Made]]:
    from tfquantseg.benchmark import contestants

    def tfmot_qat() -> Made:
        assert python is not None  # else it was left out
        return contestants.tfmot_qat(subject, options, python, _progress)

    def ours() -> Made:
        if integer:
            return contestants.of_integers(subject, options, integer.model, _progress)
        return contestants.ours(subject, options, _progress)

    return {
        "float32": lambda: contestants.float32(subject, options),
        "float32_on": lambda: contestants.float32_on(subject, options, _progress),
        "stock_ptq": lambda: contestants.stock_ptq(subject, options),
        "tfmot_qat": tfmot_qat,
        "ours": ours,
    }


def _progress(total: int, what: str) -> Callable[[], None]:
    from tfquantseg.training.bar import Count

    return Count(total, what, sys.stderr).step


def _said(
    about: dict[str, Any],
    options: Options,
    names: Sequence[str],
    integer: _Integer | None,
    left_out: Sequence[str],
) -> list[str]:
    """Sentences above the table: what is compared, and on what."""
    height, width = about["size"]
    more = f"{options.steps:,} steps more"
    trained = {"float32_on": f"float32, trained on: {more}", "tfmot_qat": f"tfmot QAT: {more}"}
    if integer is None:
        trained["ours"] = f"ours: {options.policy}, {more}"
    made = [text for name, text in trained.items() if name in names]
    sentences = [
        f"{about['network']}, trained for {about['step']:,} steps in float32 "
        f"({about['workdir']}); images of {height} x {width} pixels.",
        f"Scored on {about['data']} {about['split']}, {about['split_images']} images.",
    ]
    if made:
        rate = f"The learning rate of steps more is {options.learning_rate:g}."
        sentences.append(f"{'; '.join(made)}. {rate}")
    if integer:
        sentences.append(
            f"ours: the checkpoint of {about['integer']}, trained for {integer.step:,} steps."
        )
    if {"stock_ptq", "tfmot_qat"} & set(names):
        sentences.append(f"Calibration: {options.calibration} images of the training split.")
    return [
        *sentences,
        f"{about['processor']}, {options.threads} threads, load {about['load_before']:.1f} before.",
        *left_out,
    ]


def _panels(subject: Subject, entries: Sequence[Entry]) -> Any:
    """The first images as each file sees them."""
    from tfquantseg.analysis.panels import panels
    from tfquantseg.benchmark.contestants import TITLES
    from tfquantseg.training.prediction import FixedSizePredictor

    return panels(
        {
            TITLES[entry.variant]: FixedSizePredictor(
                subject.file(entry.made.content).classify,
                subject.size,
                classes=len(subject.held_out.classes),
                resizes=subject.config.data.fit == "resize",
            )
            for entry in entries
        },
        subject.held_out,
    )


def _broken(rows: Sequence[Row]) -> bool:
    return any(row["certificate"] and not row["certificate"]["ok"] for row in rows)


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _print_next(values: flags.FlagValues, folder: Path, names: Sequence[str]) -> None:
    print("Next:")
    workdir = shlex.quote(f"--workdir={values.integer or values.workdir}")
    if values.integer:
        print(f"  {command.command_line('convert')} {workdir}")
    elif "ours" in names:
        model = shlex.quote(f"--model={command.shown(folder / 'ours.tflite')}")
        print(f"  {command.command_line('preflight')} {model}")
    print(f"  {command.command_line('sensitivity')} {workdir}")
