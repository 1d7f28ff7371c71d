"""Steps of tools/make_body.py: from MakeHuman's base mesh to the body in the package."""
