"""The command that trains a list of runs and compares them."""

from tfquantseg.cli.sweep import run

if __name__ == "__main__":
    run()
