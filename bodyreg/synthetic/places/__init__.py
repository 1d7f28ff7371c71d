"""What is round people: rooms, streets, seats, and objects before them."""
