"""The report as a page and as JSON."""

import json

from tests.export.graphs import constant, graph, operator, tensor
from tfquantseg.export import Report, preflight


def _report() -> Report:
    """A ReLU, an ARG_MAX of it, and a doubtful resize beside."""
    relu = operator("RELU", [tensor(1, 23, 23, 4)], tensor(1, 23, 23, 4), version=2)
    labels = operator("ARG_MAX", [*relu.outputs], tensor(1, 23, 23, type="INT64"))
    size = constant(180, 180)
    large = operator("RESIZE_BILINEAR", [*relu.outputs, size], tensor(1, 180, 180, 4), version=3)
    after = operator("CAST", [*labels.outputs], tensor(1, 23, 23))
    last = operator("RELU", [*after.outputs], tensor(1, 23, 23), version=2)
    return preflight(graph(relu, labels, large, after, last, min_runtime_version="2.6.0"))


def test_the_page() -> None:
    lines = str(_report()).splitlines()
    assert lines[0] == "# Edge TPU preflight: made.tflite"
    assert lines[2].startswith(
        "**1 of 5 operators on the TPU for certain, 1 in doubt (the first: 2 RESIZE_BILINEAR).** A "
        "prediction"
    )
    assert "| weights | 8 bytes, which fit: the chip keeps up to about 7,235,174 |" in lines
    assert "| largest activation | 1 x 180 x 180 x 4, 129,600 bytes |" in lines
    assert "| runtime asked for | 2.6.0 |" in lines
    assert "| the TPU reads | 1 x 23 x 23 x 4 INT8 |" in lines
    assert "| the TPU writes | 1 x 23 x 23 x 4 INT8, 1 x 180 x 180 x 4 INT8 |" in lines
    assert "| cut at | 1 ARG_MAX; perhaps at 2 RESIZE_BILINEAR |" in lines
    assert (
        "| 1 ARG_MAX | 1 x 23 x 23 INT64 | ARG_MAX is not supported. | Export the logits and take "
        "the maximum on the host. | documented |"
    ) in lines
    assert [line for line in lines if line.startswith("## ")] == [
        "## The file",
        "## On the CPU",
        "## In doubt",
        "## Worth knowing",
        "## All operators",
    ]
    assert lines[-5:] == [
        "| RELU | 2 | 1 | TPU |",
        "| ARG_MAX | 1 | 1 | CPU: not taken |",
        "| RESIZE_BILINEAR | 3 | 1 | TPU, in doubt |",
        "| CAST | 1 | 1 | CPU: not taken |",
        "| RELU | 2 | 1 | CPU: after a cut |",
    ]


def test_a_page_without_problems_has_no_section_for_them() -> None:
    page = str(preflight(graph(operator("RELU", [tensor(1, 8)], tensor(1, 8)))))
    assert "**1 of 1 operators on the TPU.**" in page
    assert [line for line in page.splitlines() if line.startswith("## ")] == ["## All operators"]
    assert "| runtime asked for | not said |" in page
    assert "| cut at | nothing |" in page


def test_a_last_resize_in_doubt_is_named_with_what_leaves_it_out() -> None:
    """The headline of a segmentation network for a device, and its remedy."""
    relu = operator("RELU", [tensor(1, 8, 8, 4)], tensor(1, 8, 8, 4))
    large = operator("RESIZE_BILINEAR", [*relu.outputs], tensor(1, 64, 64, 4))
    report = preflight(graph(relu, large))
    assert report.headline == (
        "1 of 2 operators on the TPU for certain, 1 in doubt (the last resize)"
    )
    assert report.resize_is_for_host and not report.ok
    assert "| cut at | nothing; perhaps at 1 RESIZE_BILINEAR |" in str(report)
    assert "leave it to the host by `convert --logits=stride`" in report.placed[1].doubts[0].change
    told = report.as_json()
    assert (told["ok"], told["headline"]) == (False, report.headline)
    counts = [told[f"operators_{where}"] for where in ("on_tpu", "in_doubt", "on_cpu")]
    assert counts == [1, 1, 0]
    assert preflight(graph(relu)).ok and not preflight(graph(relu)).resize_is_for_host


def test_every_row_of_a_table_has_its_columns() -> None:
    columns = 0
    for line in str(_report()).splitlines():
        assert columns in (0, line.count("|")) or not line, line
        columns = line.count("|")


def test_json() -> None:
    report = _report()
    told = json.loads(json.dumps(report.as_json()))
    assert told["file"] == "made.tflite"
    counts = [told[f"operators_{where}"] for where in ("on_tpu", "in_doubt", "on_cpu")]
    assert (told["ok"], counts) == (False, [1, 1, 3])
    assert told["cuts"] == [1]
    assert [tensor["shape"] for tensor in told["tpu_outputs"]] == [[1, 23, 23, 4], [1, 180, 180, 4]]
    assert told["largest_activation"]["bytes"] == 129_600
    assert (told["weight_bytes"], told["min_runtime_version"]) == (8, "2.6.0")
    assert [finding["basis"] for finding in told["findings"]] == ["inferred"]
    _, labels, large, _, last = told["operators"]
    assert labels["place"] == "CPU: not taken"
    assert labels["refusals"][0]["what"] == "ARG_MAX is not supported."
    assert (large["on_tpu"], len(large["doubts"]), len(large["remarks"])) == (True, 1, 1)
    assert (last["place"], last["refusals"]) == ("CPU: after a cut", [])
