"""The command that draws what the figures of the paper show, of any run."""

from tfquantseg.cli.analyze import run

if __name__ == "__main__":
    run()
