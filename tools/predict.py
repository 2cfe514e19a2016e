"""The command that shows what a network sees in images."""

from tfquantseg.cli.predict import run

if __name__ == "__main__":
    run()
