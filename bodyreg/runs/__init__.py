"""A run on disk: what it reads, its shards, the processes that share it, its record.

Commands and training recipes call it. Nothing here prints.
"""
