"""What people do: postures, motions, and bodies that suit them."""
