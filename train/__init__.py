"""Recipes that train networks of bodyreg."""
