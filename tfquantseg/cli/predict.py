"""Predicts the class of each pixel of your images, and shows it.

Examples:
  predict --workdir=tfquantseg-runs/digits --split='val[:0.1]' --out=shown
      Images of the run's data set, with their ground truth beside them.
  predict --workdir=my-run --images=photo.jpg --images=holidays --images='more/*.png' --out=shown
      Your own images: files, folders, patterns.
  predict --model=mine.keras --classes=classes.txt --images=holidays --out=shown
      A model that you saved.
  predict --model=my-run/export/model_int8.tflite --images=holidays --out=shown
      A file that convert wrote, as a device runs it.

The folder --out then holds overlays/ (the classes' colours over each image), classes/ (a PNG with
the class of each pixel as palette index), contact_sheet.png, and predictions.json with the share
of pixels of each class. Look at contact_sheet.png first.

Images are predicted at their own size (scaled to the run's, where it trained on scaled ones) and
turned as the camera noted in the file; outputs are upright and of the image's size. A model gets
RGB values 0..255. An image that cannot be read or does not fit the model is named at the end and in
predictions.json; all others are predicted, and the exit code is 2.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from absl import flags

from tfquantseg.cli import command, runs

if TYPE_CHECKING:
    from ml_collections import ConfigDict

    from tfquantseg.data.segmentation import Bytes, SegmentationData
    from tfquantseg.training.prediction import FixedSizePredictor, Predictor
    from tfquantseg.training.prediction_folder import PredictionFolder

_SHOWN = 5  # files in a message


def main(argv: Sequence[str]) -> int:
    """Predicts; `argv` is the command line. Returns the exit code."""
    return command.execute(argv, about=__doc__ or "", define=_define, work=_predict)


def run() -> None:
    """The program."""
    command.run(main)


def _define(values: flags.FlagValues, argv: list[str]) -> None:
    del argv
    runs.define_workdir(values, required=False)
    runs.define_scales(values)
    runs.define_delegate(values)
    flags.DEFINE_string(
        "model",
        None,
        "In place of --workdir, a model's .keras or .tflite file.",
        flag_values=values,
    )
    flags.DEFINE_multi_string(
        "images",
        [],
        "A file, a folder, or a pattern in quotes. Give the flag again for more.",
        flag_values=values,
    )
    flags.DEFINE_string(
        "split",
        None,
        "In place of --images, a split of the run's data set, such as val or test[:0.1].",
        flag_values=values,
    )
    flags.DEFINE_string(
        "classes",
        None,
        "File with the names of the classes, one a line, and their colours if wished: "
        "'road 128 64 128'. Default: those of the run's data set, or numbers for a --model.",
        flag_values=values,
    )
    flags.DEFINE_string(
        "out", None, "Folder to write to, new or empty. Required.", flag_values=values
    )
    flags.mark_flag_as_required("out", flag_values=values)


class _Network(NamedTuple):
    """A model to predict with; step and config are those of its run, if it has one."""

    file: Path
    predictor: Predictor | FixedSizePredictor
    scales: str | None  # of the activations, where the model has any
    step: int | None = None
    config: ConfigDict | None = None
    classes: _Classes | None = None


class _Classes(NamedTuple):
    """Names and colours of the classes."""

    origin: str
    names: tuple[str, ...]
    palette: tuple[tuple[int, int, int], ...]


class _Scene(NamedTuple):
    """An image that is to be predicted; `read` returns it, and its ground truth if it has one."""

    name: str
    origin: str
    read: Callable[[], tuple[Bytes, Bytes | None]]


def _predict(values: flags.FlagValues) -> int:
    from tfquantseg.training.bar import Count
    from tfquantseg.training.prediction_folder import PredictionFolder, check_free

    _check_flags(values)
    check_free(Path(values.out))
    scenes = _scenes_of_files(values.images)
    network = _network(values)
    classes, data = _classes(values, network)
    if data is not None:
        scenes = _scenes_of_split(data)
    folder = PredictionFolder(
        Path(values.out),
        classes.names,
        classes.palette,
        total=len(scenes),
        truth=data is not None,
        ignore_label=data.ignore_label if data else 255,
    )
    if network.config and network.config.data.fit == "resize":
        height, width = network.config.data.size
        print(
            f"Images are scaled to {height} x {width}, as while training; predictions are scaled "
            "back to each image's own size.",
            file=sys.stderr,
        )
    count = Count(len(scenes), "images", sys.stderr)
    for scene in scenes:
        try:
            image, truth = scene.read()
            label = network.predictor(image)
        except ValueError as error:
            folder.fail(scene.origin, str(error))
        else:
            folder.add(scene.name, scene.origin, image, label, truth)
        count.step()
    folder.finish({"model": str(network.file), "step": network.step, "scales": network.scales})
    return _report(values, network, folder)


def _check_flags(values: flags.FlagValues) -> None:
    for one, other in (("workdir", "model"), ("images", "split")):
        if bool(values[one].value) == bool(values[other].value):
            received = "both" if values[one].value else "neither"
            raise ValueError(f"Give either --{one} or --{other}; received {received}.")
    if values.model and values.split:
        raise ValueError("--split is one of a run's data set; with --model give --images.")
    if values.model and values["checkpoint"].present:
        raise ValueError("--checkpoint chooses one of a --workdir; with --model leave it out.")
    if (values.model or "").endswith(".tflite") and values["scales"].present:
        raise ValueError("--scales is for models; a .tflite file has its own. Leave it out.")
    runs.check_delegate(values)
    if values.split and values.classes:
        raise ValueError("--split has the classes of its data set; leave --classes out.")


def _scenes_of_files(names: Sequence[str]) -> list[_Scene]:
    from tfquantseg.data import image_files, photographs

    def reader(file: Path) -> Callable[[], tuple[Bytes, None]]:
        return lambda: (image_files.read_image(file, upright=True), None)

    found = photographs.find(names)
    if found.others:
        shown = ", ".join(map(str, found.others[:_SHOWN]))
        more = f" and {len(found.others) - _SHOWN} more" if len(found.others) > _SHOWN else ""
        print(f"Left out, folders or no images by their ending: {shown}{more}", file=sys.stderr)
    return [
        _Scene(key, str(file), reader(file))
        for key, file in zip(photographs.keys(found.files), found.files, strict=True)
    ]


def _scenes_of_split(data: SegmentationData) -> list[_Scene]:
    def reader(index: int) -> Callable[[], tuple[Bytes, Bytes]]:
        return lambda: data.read(index)

    return [
        _Scene(example.key, example.origin, reader(index))
        for index, example in enumerate(data.examples)
    ]


def _network(values: flags.FlagValues) -> _Network:
    from tfquantseg.training import model_files
    from tfquantseg.training.evaluation import load_model
    from tfquantseg.training.prediction import Predictor

    if values.model:
        file = Path(values.model)
        if file.suffix == ".tflite":
            return _file_network(file, values.delegate)
        predictor = Predictor(model_files.load(file), scales=values.scales)
        return _Network(file, predictor, predictor.scales)
    config, checkpoint = runs.load(values.workdir, values.checkpoint)
    predictor = Predictor(
        load_model(checkpoint),
        multiple=config.data.multiple,
        scales=values.scales,
        resize=tuple(config.data.size) if config.data.fit == "resize" else None,
    )
    return _Network(checkpoint.model, predictor, predictor.scales, checkpoint.step, config)


def _file_network(file: Path, delegate: str | None) -> _Network:
    """A `.tflite` file, which may say of what classes it is."""
    from tfquantseg.export import FileNetwork
    from tfquantseg.training.prediction import FixedSizePredictor

    network = FileNetwork(file, delegate=delegate)
    about = network.about
    predictor = FixedSizePredictor(
        network.classify,
        network.size,
        classes=network.classes,
        resizes=about.get("fit") == "resize",
    )
    if "classes" not in about:
        return _Network(file, predictor, "frozen")
    palette = tuple((r, g, b) for r, g, b in about["palette"])
    classes = _Classes(str(file), tuple(about["classes"]), palette)
    return _Network(file, predictor, "frozen", about.get("step"), classes=classes)


def _classes(
    values: flags.FlagValues, network: _Network
) -> tuple[_Classes, SegmentationData | None]:
    """The classes, and the split if one was asked for."""
    from tfquantseg.data import class_list, palette
    from tfquantseg.training import parts

    count, data = network.predictor.classes, None
    if values.classes:
        read = class_list.read(Path(values.classes))
        classes = _Classes(values.classes, read.names, read.palette)
    elif network.config:
        try:
            data = parts.data(network.config, values.split or network.config.data.val)
        except ValueError as error:
            if values.split:
                raise
            raise ValueError(
                f"The names of the classes are those of the run's data set. {error} To predict "
                "without it, give a file of names as --classes."
            ) from error
        classes = _Classes(f"Data set {data.name}", data.classes, data.palette)
    elif network.classes:
        classes = network.classes
    else:
        return _Classes("", tuple(map(str, range(count))), palette.distinct_colours(count)), None
    if len(classes.names) != count:
        raise ValueError(
            f"{classes.origin} names {len(classes.names)} classes, and {network.file} returns the "
            f"logits of {count}; accepted are {count} names, in the order of the logits."
        )
    return classes, data if values.split else None


def _report(values: flags.FlagValues, network: _Network, folder: PredictionFolder) -> int:
    """Says what was written, what was not, and what to type next."""
    from tfquantseg.training import prediction_folder as files

    where = command.shown(folder.path)
    scales = network.scales
    computes = f"{scales} scales" if scales else "float32"
    of_step = "" if network.step is None else f"after step {network.step}, "
    print(f"Model          {command.shown(network.file)} ({of_step}{computes})")
    if folder.written:
        on_sheet = min(folder.written, files.MOST_ON_SHEET)
        first = f"the first {on_sheet} of " if on_sheet < folder.written else ""
        print(f"Contact sheet  {where}/{files.SHEET} ({first}{folder.written} images)")
        print(f"Overlays       {where}/{files.OVERLAYS} (the classes' colours over each image)")
        print(f"Classes        {where}/{files.CLASSES} (palette PNGs, an index is a class)")
    print(f"JSON           {where}/{files.JSON} (files, sizes, each class's share of pixels)")
    if folder.failed:
        sys.stdout.flush()
        _tell_failed(folder)
    if commands := _next(values, network):
        print("Next:", *commands, sep="\n  ")
    return command.USER_ERROR if folder.failed else 0


def _tell_failed(folder: PredictionFolder) -> None:
    from tfquantseg.training import prediction_folder as files

    total = folder.written + len(folder.failed)
    print(f"Error: {len(folder.failed)} of {total} images have no prediction:", file=sys.stderr)
    for failed in folder.failed[:_SHOWN]:
        named = "" if failed["error"].startswith(failed["image"]) else f"{failed['image']}: "
        print(f"  {named}{failed['error']}", file=sys.stderr)
    if len(folder.failed) > _SHOWN:
        more = len(folder.failed) - _SHOWN
        where = command.shown(folder.path / files.JSON)
        print(f"  and {more} more, listed in {where}", file=sys.stderr)


def _next(values: flags.FlagValues, network: _Network) -> list[str]:
    """The commands to type next."""
    predict = command.command_line("predict")
    if network.config is None:
        if values.classes or network.classes:
            return []
        given = [f"--images={name}" for name in values.images]
        model, out = command.shown(network.file), f"{values.out}-named"
        return [
            f"{predict} {shlex.join([f'--model={model}', *given, f'--out={out}'])} "
            "--classes=FILE  # names, one a line"
        ]
    run = f"--workdir={command.shown(Path(values.workdir))}"
    split = f"--split={values.split or network.config.data.val}"
    scores = f"{command.command_line('evaluate')} {shlex.join([run, split])}"
    if values.split:
        return [scores, f"{predict} {shlex.quote(run)} --images=PHOTOS --out=predictions"]
    out = f"{values.out}-{network.config.data.val.split('[')[0]}"
    return [f"{predict} {shlex.join([run, split, f'--out={out}'])}", scores]
