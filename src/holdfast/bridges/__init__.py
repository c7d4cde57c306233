"""Bridges: other people's formats and systems, one file each. Holdfast speaks with them and does not replace them.

None is built yet. A bridge will translate a neighbour's words (a DVC file, an OCI image, a table's snapshot id) into
Holdfast's own values and back; it knows the verbs of `flow` and nothing of who calls it.
"""
