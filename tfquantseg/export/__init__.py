"""From a trained model to a full-int8 `.tflite` that computes the same, with proof."""

from tfquantseg.export.calibration import calibrate
from tfquantseg.export.certificate import Certificate, certify
from tfquantseg.export.draft import draft
from tfquantseg.export.edgetpu import preflight
from tfquantseg.export.edgetpu_compiler import Verdict, compiler_verdict
from tfquantseg.export.edgetpu_report import Placed, Report
from tfquantseg.export.endings import at_stride, with_argmax
from tfquantseg.export.freeze import freeze
from tfquantseg.export.graph_file import Graph, graph_of, read_graph
from tfquantseg.export.metadata import with_segmenter_metadata
from tfquantseg.export.network import Network
from tfquantseg.export.program import FileProgram
from tfquantseg.export.runtime import FileNetwork
from tfquantseg.export.tflite import write_tflite

__all__ = [
    "Certificate",
    "FileNetwork",
    "FileProgram",
    "Graph",
    "Network",
    "Placed",
    "Report",
    "Verdict",
    "at_stride",
    "calibrate",
    "certify",
    "compiler_verdict",
    "draft",
    "freeze",
    "graph_of",
    "preflight",
    "read_graph",
    "with_argmax",
    "with_segmenter_metadata",
    "write_tflite",
]
