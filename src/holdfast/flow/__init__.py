"""The verbs, in the order in which a version lives through them.

    capture    what a training process did, without being asked
    inventory  what a project has of the five parts before any of this has begun
    snapshot   data frozen into the store
    bundle     five parts and the evidence in one directory that runs on its own
    register   a number for it, once every byte is durable
    shadow     what it would answer to the requests of a stage that another version holds
    gate       may this version have this stage? every answer is kept
    promote    the stage moves, through the gate
    rollback   the stage moves back to last-known-good
    explain    what a version is, whole

A verb may import the verbs above it and never one below. Nothing here prints, parses a
command line, or knows which database or store it works on.
"""
