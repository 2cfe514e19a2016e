"""The command that quantizes each layer and object alone."""

from tfquantseg.cli.sensitivity import run

if __name__ == "__main__":
    run()
