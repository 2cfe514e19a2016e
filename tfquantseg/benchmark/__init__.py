"""Benchmarks: ours beside float32, the stock quantizations and tfmot, in one run, in turns."""
