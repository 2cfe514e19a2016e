"""The command that scores a trained network."""

from tfquantseg.cli.evaluate import run

if __name__ == "__main__":
    run()
