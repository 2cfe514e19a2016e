"""Files for devices: what is in a `.tflite`."""

from tfquantseg.export.graph_file import Graph, Operator, Tensor, graph_of, read_graph

__all__ = ["Graph", "Operator", "Tensor", "graph_of", "read_graph"]
