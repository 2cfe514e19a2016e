"""The command that measures speed, memory and file size."""

from tfquantseg.cli.benchmark import run

if __name__ == "__main__":
    run()
