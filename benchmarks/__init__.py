"""Benchmarks: one file per op, and the tools that make tables of the results."""
