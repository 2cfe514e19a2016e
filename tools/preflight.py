"""The command that tells what an Edge TPU will run of a network."""

from tfquantseg.cli.preflight import run

if __name__ == "__main__":
    run()
