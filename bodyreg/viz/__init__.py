"""Pictures of bodies."""
