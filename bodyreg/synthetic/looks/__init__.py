"""What people look like: skin, faces, hair and clothes, the same in every pose."""
