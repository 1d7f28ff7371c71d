"""The appearance of people: skin, faces, hair and clothes, the same in every pose."""
