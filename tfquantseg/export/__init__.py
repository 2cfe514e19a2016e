"""From a trained model to a full-int8 `.tflite` that computes the same, with proof."""

from tfquantseg.export.certificate import Certificate, certify
from tfquantseg.export.freeze import freeze
from tfquantseg.export.network import Network
from tfquantseg.export.runtime import FileNetwork
from tfquantseg.export.tflite import write_tflite

__all__ = ["Certificate", "FileNetwork", "Network", "certify", "freeze", "write_tflite"]
