"""The command that trains a segmentation network."""

from tfquantseg.cli.train import run

if __name__ == "__main__":
    run()
