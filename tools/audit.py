"""The command that checks the operands of every convolution."""

from tfquantseg.cli.audit import run

if __name__ == "__main__":
    run()
