"""What loops of training share. The loops are where they belong.

Everything random in a loop comes from one generator, whose state is in the checkpoint, so a run
that was killed ends with the numbers of one that was not.
"""
