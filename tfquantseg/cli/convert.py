"""Converts a trained network to full-int8 .tflite files, and proves what they compute.

Examples:
  convert --workdir=tfquantseg-runs/digits
      Into tfquantseg-runs/digits/export.
  convert --workdir=my-run --images=3
      A first conversion, quicker: most of the time goes into the images compared step by step.
  convert --workdir=my-run --size=192,256 --out=shipped
      For images of 192 x 256 pixels, into another folder.
  convert --workdir=my-run --steps=percentile --finetune=100
      Activation steps measured on images of the training split, and training at these steps.

The folder then holds model_int8.tflite (int8 image in, int8 logits out: Coral, LiteRT),
model_uint8.tflite (bytes in, with labels and metadata: MediaPipe, browsers), and a certificate:
certificate.md and certificate.png for people, certificate.json for machines; and what the Edge TPU
will do with the file, edgetpu.md and edgetpu.json. Files of these names there are replaced.

The certificate compares every weight in the file with the integer that training multiplied; the
file with an independent program in integers, on images of a split; and each operation of the model
with that program's. It scores model and file on the whole split, the model before and after its
activation steps became constants. The exit code is 1 where a promise is broken; the models are then
not written.

--logits=argmax gives a file of classes in place of logits. MediaPipe reads none: there is no
model_uint8.tflite then, and one that lies there is removed.
"""

from __future__ import annotations

import hashlib
import io
import itertools
import json
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from absl import flags

from tfquantseg.cli import command, convert_steps, file_shape, runs

if TYPE_CHECKING:
    import keras
    from ml_collections import ConfigDict

    from tfquantseg.analysis.certificate_page import Scores
    from tfquantseg.data import SegmentationData
    from tfquantseg.data.segmentation import Bytes
    from tfquantseg.export import Network, Report
    from tfquantseg.metrics import Counts

BROKEN_PROMISE = 1
_PICTURED = 4  # images
_CERTIFICATE = ("certificate.md", "certificate.png", "certificate.json")
_OF_MODEL = ("model_int8.tflite", "model_uint8.tflite", "edgetpu.md", "edgetpu.json")


def main(argv: Sequence[str]) -> int:
    """Converts; `argv` is the command line. Returns the exit code."""
    return command.execute(argv, about=__doc__ or "", define=_define, work=_convert)


def run() -> None:
    """The program."""
    command.run(main)


def _define(values: flags.FlagValues, argv: list[str]) -> None:
    del argv
    runs.define_workdir(values, required=True)
    file_shape.define(values)
    convert_steps.define(values)
    flags.DEFINE_string(
        "split",
        None,
        "Split to certify on. Default: the one that the run was validated on.",
        flag_values=values,
    )
    flags.DEFINE_integer(
        "images", 20, "Images of it for the comparison step by step.", 1, flag_values=values
    )
    flags.DEFINE_string(
        "out",
        None,
        "Folder to write to. Default: export in the work directory.",
        flag_values=values,
    )


class _Run(NamedTuple):
    model: keras.Model
    config: ConfigDict
    data: SegmentationData
    step: int


def _convert(values: flags.FlagValues) -> int:
    from tfquantseg.analysis import certificate_page
    from tfquantseg.export import certify, write_tflite
    from tfquantseg.training import whole
    from tfquantseg.training.bar import Count
    from tfquantseg.training.image_scores import images_of_size

    convert_steps.check(values)
    folder = Path(values.out) if values.out else Path(values.workdir) / "export"
    run = _load(values)
    size = file_shape.size_of(values, run.model, run.config, run.data)
    _network(values, run, size)  # What has no file is refused before the work.
    folder.mkdir(parents=True, exist_ok=True)
    for name in (*_CERTIFICATE, *_OF_MODEL):
        whole.check_writable(folder / name)
    before = _scores_before(values, run, size)
    frozen = convert_steps.freeze_steps(values, run.model, run.config, run.step)
    network = _network(values, run, size)
    about = _about(run)
    content = write_tflite(network, about=about)
    count = min(values.images, len(run.data))
    bar = Count(count, "images compared step by step", sys.stderr)
    images = (image for image, _ in images_of_size(run.data, run.config, size))
    certificate = certify(
        network, run.model, content, itertools.islice(images, count), seen=bar.step
    )
    scores = _scores(run, content, size, before)
    digest = hashlib.sha256(content).hexdigest()
    page = certificate_page.page(
        certificate, scores, frozen, name=network.name, size=size, sha256=digest
    )
    picture = _picture(run, content, size)
    as_json = {
        "model": network.name,
        "size": list(size),
        "output": values.logits,
        "sha256": digest,
        **frozen.as_json(),
        **scores.as_json(),
        **certificate.as_json(),
    }
    older = [name for name in _OF_MODEL if (folder / name).exists()]
    for name in older:  # of an earlier conversion, which this certificate is not of
        (folder / name).unlink()
    told = (page.encode(), picture, json.dumps(as_json, indent=2).encode() + b"\n")
    for name, written in zip(_CERTIFICATE, told, strict=True):
        _write(folder, name, written)
    where = command.shown(folder)
    print(page.split("## Weights")[0])
    if certificate.problems:
        _tell_older(folder, older)
        print(f"Certificate  {where}/certificate.md (there is no model beside it)")
        return BROKEN_PROMISE
    _write(folder, "model_int8.tflite", content)
    print(f"Int8         {where}/model_int8.tflite ({len(content):,} bytes)")
    print(f"Uint8        {_write_uint8(folder, network, about)}")
    print(f"Certificate  {where}/certificate.md, .json, and where pixels differ: .png")
    report = _preflight(folder)
    print(f"Edge TPU     {where}/edgetpu.md, .json: {report.headline}")
    _tell_older(folder, older)
    print("Next:")
    model = f"--model={where}/model_int8.tflite"
    workdir = f"--workdir={command.shown(Path(values.workdir))}"
    shown = f"{shlex.quote(model)} --images=PHOTOS --out=predictions"
    print(f"  {command.command_line('predict')} {shown}")
    print(f"  {command.command_line('evaluate')} {shlex.join([workdir, model])}")
    if report.resize_is_for_host:
        print(f"  {command.command_line('convert')} {file_shape.again_at_stride(values)}")
        print("  (for an Edge TPU: the same without the last resize, which is then the host's)")
    return 0


def _network(values: flags.FlagValues, run: _Run, size: tuple[int, int]) -> Network:
    """The model as it is now, frozen, with the output that was asked for."""
    from tfquantseg.export import freeze

    return file_shape.with_output(values, freeze(run.model, *size))


def _write_uint8(folder: Path, network: Network, about: dict[str, Any]) -> str:
    """Writes the file that takes bytes, if there is one; returns what is to be said of it."""
    from tfquantseg.export import with_segmenter_metadata, write_tflite
    from tfquantseg.export.tflite import NO_CLASSES_FOR_MEDIAPIPE

    if network.gives_classes:
        return f"none: {NO_CLASSES_FOR_MEDIAPIPE}"
    content = write_tflite(network, "uint8", about)
    said = "(takes bytes; with MediaPipe's metadata)"
    activation = "none" if network.gives_probabilities else "softmax"
    try:
        content = with_segmenter_metadata(content, about["classes"], activation=activation)
    except ModuleNotFoundError as error:
        said = f"(takes bytes; without labels: {error})"
    _write(folder, "model_uint8.tflite", content)
    return f"{command.shown(folder)}/model_uint8.tflite {said}"


def _preflight(folder: Path) -> Report:
    """Writes what the Edge TPU will do with the file, and returns it."""
    from tfquantseg.export import compiler_verdict, preflight, read_graph

    file = folder / "model_int8.tflite"
    report, verdict = preflight(read_graph(file)), compiler_verdict(file)
    pages, as_json = [str(report)], report.as_json()
    if verdict is not None:
        pages, as_json = [*pages, str(verdict)], {**as_json, "compiler": verdict.as_json()}
    _write(folder, "edgetpu.md", "\n\n".join(pages).encode() + b"\n")
    _write(folder, "edgetpu.json", json.dumps(as_json, indent=2).encode() + b"\n")
    return report


def _tell_older(folder: Path, older: list[str]) -> None:
    """Says what became of files that an earlier conversion left in the folder."""
    for what, is_there in (("Replaced", True), ("Removed ", False)):
        if names := [name for name in older if (folder / name).exists() == is_there]:
            print(f"{what}     {', '.join(names)} of an earlier conversion")


def _about(run: _Run) -> dict[str, Any]:
    """What the files say of themselves, so that `predict` needs nothing else."""
    return {
        "data": run.data.name,
        "classes": list(run.data.classes),
        "palette": [list(colour) for colour in run.data.palette],
        "fit": run.config.data.fit,
        "step": run.step,
    }


def _load(values: flags.FlagValues) -> _Run:
    from tfquantseg.training import parts
    from tfquantseg.training.evaluation import load_model

    config, checkpoint = runs.load(values.workdir, values.checkpoint)
    if told := runs.unfinished(values.workdir, config, checkpoint):
        print(f"{told}: the file will hold step {checkpoint.step}.", flush=True)
    if values.finetune:
        parts.deterministic(config.seed)
    data = parts.data(config, values.split or config.data.val)
    return _Run(load_model(checkpoint), config, data, checkpoint.step)


def _scores_before(values: flags.FlagValues, run: _Run, size: tuple[int, int]) -> dict[str, Counts]:
    """Scores the trained model: with each image's scales, and with the running ones."""
    from tfquantseg.layers import set_evaluation_scales

    counts = {}
    for scales in ("dynamic", "running"):
        if scales == "running" and convert_steps.keeps_training(values):
            continue  # It is the frozen model.
        set_evaluation_scales(run.model, scales)
        counts[scales] = _counts(
            run, size, _classes_of_model(run.model), f"the model, {scales} scales"
        )
    set_evaluation_scales(run.model, "running")
    return counts


def _counts(
    run: _Run, size: tuple[int, int], predict: Callable[[Bytes], np.ndarray], what: str
) -> Counts:
    from tfquantseg.training.bar import Count
    from tfquantseg.training.image_scores import counts_of

    bar = Count(len(run.data), f"images scored by {what}", sys.stderr)
    return counts_of(predict, run.data, run.config, size, seen=bar.step)


def _scores(run: _Run, content: bytes, size: tuple[int, int], before: dict[str, Counts]) -> Scores:
    from tfquantseg.analysis.certificate_page import Scores
    from tfquantseg.export import FileNetwork
    from tfquantseg.metrics import bootstrap_difference, scores

    graph = _counts(run, size, _classes_of_model(run.model), "the frozen model")
    reference, default = (
        _counts(run, size, FileNetwork(content, kernels=kernels).classify, f"the file, {kernels}")
        for kernels in ("reference", "default")
    )
    return Scores(
        split=f"{run.data.name} {run.data.split}",
        images=len(run.data),
        dynamic=scores(before["dynamic"]).miou,
        running=scores(before.get("running", graph)).miou,
        graph=scores(graph).miou,
        reference=scores(reference).miou,
        default=scores(default).miou,
        reference_less_graph=bootstrap_difference(reference, graph),
        default_less_graph=bootstrap_difference(default, graph),
    )


def _classes_of_model(model: keras.Model) -> Callable[[Bytes], np.ndarray]:
    import tensorflow as tf

    graph = tf.function(model, jit_compile=False)

    def predict(image: Bytes) -> np.ndarray:
        logits = graph(tf.constant(image[np.newaxis], tf.float32), training=False)
        return np.asarray(tf.argmax(logits[0], axis=-1))

    return predict


def _picture(run: _Run, content: bytes, size: tuple[int, int]) -> bytes:
    """Where the classes of file and model differ, on the first images: a PNG."""
    from tfquantseg.analysis import certificate_page
    from tfquantseg.export import FileNetwork
    from tfquantseg.training.image_scores import images_of_size

    of_model = _classes_of_model(run.model)
    of_file = FileNetwork(content, kernels="reference").classify
    images = itertools.islice(images_of_size(run.data, run.config, size), _PICTURED)
    examples = [
        (run.data.key(index), image, of_model(image), of_file(image))
        for index, (image, _) in enumerate(images)
    ]
    with io.BytesIO() as png:
        certificate_page.picture(examples, run.data).save(png, "PNG")
        return png.getvalue()


def _write(folder: Path, name: str, content: bytes) -> None:
    from tfquantseg.training import whole

    whole.write_whole(folder / name, content)
