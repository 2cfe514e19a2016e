"""The command that compares stock quantization, tfmot and ours on one network."""

from tfquantseg.cli.compare import run

if __name__ == "__main__":
    run()
