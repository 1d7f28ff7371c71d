"""Surroundings of people: rooms, streets, seats, and objects in front."""
