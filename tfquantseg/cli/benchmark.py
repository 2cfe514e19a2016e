"""Measures ours beside float32, the stock quantizations and tfmot: speed, memory, file size.

Examples:
  benchmark --suite=inference
      Latency, size and memory of .tflite files: float32, stock post-training int8, tfmot, ours.
  benchmark --suite=training --networks=deeplabv3_resnet50 --json=speed.json
      What a training step of one network costs, and what ours spends it on.
  benchmark --suite=training --networks=residual_unet --batch=4,8,16 --variants=INTEGER
      How the cost grows with the batch.
  benchmark --suite=kernels
      Each piece of a training step, own op and TensorFlow's, beside what the machine could do.
  benchmark --suite=kernels --pieces=vgg_conv3,update
      Two of them.

All variants of a network run in one go, in turns A B C A B C ..., each in a process of its own (in
the suite kernels all in one), and ratios are taken pair by pair, so that what else the machine does
falls on all alike. Still, let it do nothing else; all variants of a network are in memory at once.
Without --networks it measures residual_unet, ten_convolutions, fcn8s_vgg16 and deeplabv3_resnet50,
for some minutes each.

tfmot's packages exclude ours, so its rows need another interpreter, which is made on demand:
  --peers_python=$(./bazelw run //tools:peers_python -- -c 'import sys; print(sys.executable)')
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from pathlib import Path

from absl import flags

from tfquantseg.cli import command, outputs

_BUSY = 0.5  # processes a core: more than that, before anything was started, is another's work


def main(argv: Sequence[str]) -> int:
    """Measures; `argv` is the command line. Returns the exit code."""
    return command.execute(argv, about=__doc__ or "", define=_define, work=_benchmark)


def run() -> None:
    """The program."""
    command.run(main)


def _define(values: flags.FlagValues, argv: list[str]) -> None:
    del argv
    flags.DEFINE_string(
        "suite",
        None,
        "What to measure: inference, training or kernels. Required.",
        flag_values=values,
    )
    flags.DEFINE_list("networks", [], "Networks. Default: all.", flag_values=values)
    flags.DEFINE_list(
        "pieces", [], "Pieces, of the suite kernels. Default: all.", flag_values=values
    )
    flags.DEFINE_list("variants", [], "Variants, beside float32. Default: all.", flag_values=values)
    flags.DEFINE_list(
        "sizes",
        [],
        "Heights and widths in pixels, as in 96x96,192x256. Default: each network's own.",
        flag_values=values,
    )
    flags.DEFINE_list(
        "batch",
        [],
        "Images a training step, as in 4,8,16. Default: each network's own.",
        flag_values=values,
    )
    flags.DEFINE_integer(
        "rounds", None, "Turns of each variant. Default: the suite's.", 1, flag_values=values
    )
    flags.DEFINE_integer(
        "threads", None, "Threads of each variant. Default: all cores.", 1, flag_values=values
    )
    flags.DEFINE_string(
        "peers_python", None, "The interpreter of peers.lock, for tfmot.", flag_values=values
    )
    outputs.define_json(values, "the numbers")
    flags.DEFINE_string(
        "chart", None, "Picture to write. Default: benchmark-SUITE.png, here.", flag_values=values
    )
    outputs.define_overwrite(values, "the picture")


def _benchmark(values: flags.FlagValues) -> int:
    from tfquantseg.benchmark import machine, suites
    from tfquantseg.benchmark.chart import chart
    from tfquantseg.benchmark.suite import Request
    from tfquantseg.training import whole

    measure = suites.suite(values.suite)
    picture = Path(values.chart or f"benchmark-{values.suite}.png")
    whole.check_writable(picture)
    outputs.check_free(picture, values, "chart")
    json_to = outputs.json_path(values)
    threads = values.threads or machine.cores()
    load = machine.load()
    if load > _BUSY * machine.cores():
        print(
            f"The machine is busy: {load:.1f} processes ran or waited in the last minute, on "
            f"{machine.cores()} cores. Read ratios, not times, and measure again when it is not."
        )
    report = measure(
        Request(
            networks=tuple(values.networks),
            variants=tuple(values.variants),
            pieces=tuple(values.pieces),
            sizes=tuple(map(_size, values.sizes)),
            batches=tuple(map(_batch, values.batch)),
            rounds=values.rounds,
            threads=threads,
            peers_python=Path(values.peers_python).absolute() if values.peers_python else None,
            say=lambda text: print(text, flush=True),
        )
    )
    about = machine.about(threads, load)
    if report.cases > 1:  # One alone has been shown just now.
        print(f"{report.title}\n\n{report.table()}\n")
    print(*report.comparisons(), sep="\n")
    print(f"{about['processor']}, {threads} threads.", *report.notes, *report.left_out, sep="\n")
    with io.BytesIO() as png:
        chart(report).savefig(png, format="png")
        whole.write_whole(picture, png.getvalue())
    print(f"Chart  {command.shown(picture)}")
    if json_to:
        content = {"suite": values.suite, "machine": about, **report.as_json()}
        print(f"JSON   {outputs.write_json(json_to, content)}")
    print("Next:")
    for other in suites.names():
        if other != values.suite:
            print(f"  {command.command_line('benchmark')} --suite={other}")
    return 0


def _size(text: str) -> tuple[int, int]:
    """Height and width, pixels."""
    match = re.fullmatch(r"(\d+)x(\d+)", text)
    if match is None:
        raise ValueError(
            f"--sizes has {text!r}; accepted are heights and widths in pixels, as in 96x96,192x256."
        )
    return int(match[1]), int(match[2])


def _batch(text: str) -> int:
    """Images a step."""
    if not text.isdecimal() or not int(text):
        raise ValueError(f"--batch has {text!r}; accepted are numbers of images, as in 4,8,16.")
    return int(text)
