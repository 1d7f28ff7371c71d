"""Benchmarks: one file per op, and what makes tables of them."""
