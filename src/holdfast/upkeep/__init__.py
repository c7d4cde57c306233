"""Upkeep: is everything still what it says it is, and does anything still need it?

check.py       re-hash every blob; what is damaged, and which versions that hurts
retention.py   what is needed, and by whom
gc.py          which bytes nothing needs; deleting them
doctor.py      is this machine, and this project, in a state to work?
remotes.py     the remotes that a project knows by name
share.py       push and pull
"""
