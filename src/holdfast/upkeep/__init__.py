"""Upkeep: is everything still what it says it is?

    check.py    re-hash every blob; what is damaged, and which versions that hurts
    doctor.py   is this machine, and this project, in a state to work?

Nothing here repairs or deletes.
"""
