"""Motions of people: postures, cycles of postures, and their retargeting to a body."""
