"""Files for devices: what is in a `.tflite`, and what a device will make of it."""

from tfquantseg.export.edgetpu import preflight
from tfquantseg.export.edgetpu_compiler import Verdict, compiler_verdict
from tfquantseg.export.edgetpu_report import Placed, Report
from tfquantseg.export.graph_file import Graph, Operator, Tensor, graph_of, read_graph
from tfquantseg.export.metadata import with_segmenter_metadata

__all__ = [
    "Graph",
    "Operator",
    "Placed",
    "Report",
    "Tensor",
    "Verdict",
    "compiler_verdict",
    "graph_of",
    "preflight",
    "read_graph",
    "with_segmenter_metadata",
]
