"""The command that checks data sets."""

from tfquantseg.cli.data import run

if __name__ == "__main__":
    run()
