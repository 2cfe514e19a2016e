"""Sweeps: many runs of one recipe with changes, in one table. Imports nothing by itself."""
