"""Arrangements of people in pictures: crowds, catalogues, a studio."""
