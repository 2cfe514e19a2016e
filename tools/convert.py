"""The command that writes .tflite files of a trained network, with their certificate."""

from tfquantseg.cli.convert import run

if __name__ == "__main__":
    run()
