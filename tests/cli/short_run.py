"""A run that trains in seconds, for commands that need a trained network."""

TINY = (
    "--config=digits",
    "--config.model.args.width=2",
    "--config.data.options.size=64,64",
    "--config.data.size=64,64",
    "--config.data.train=train[:0.01]",
    "--config.data.val=val[:0.02]",
    "--config.data.batch=2",
    "--config.steps=2",
)
"""Flags of train: 64 x 64 pixels, two steps, four images held out."""
