"""The command that looks after data sets."""

from tfquantseg.cli.data import run

if __name__ == "__main__":
    run()
