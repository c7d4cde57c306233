r"""What a file could do when it is opened, found out without opening it.

    scan(b"cos\nsystem\n(S'ls'\ntR.", "model.pkl").standing      Standing.CODE
    scan(b"age,plan\n31,pro\n", "rows.csv").standing             Standing.DATA

    listing.py      what is said about a file: its kind, its standing, the names that it would import
    scan.py         a file of any kind, recognised by its content
    machine.py      a pickle, walked and never run; stack.py, reading.py and values.py are what it stands on
    allowed.py      which names a pickle may import
    archives.py, compressed.py, arrays.py, tensors.py, graphs.py, plain.py      the other formats
    limits.py       what a scan takes on

Bytes go in and findings come out: nothing here opens a file, imports a name that it reads, or unpickles.
"""

from holdfast.formats.allowed import Allowed, is_refused
from holdfast.formats.limits import HEADER_BYTES_MAX, SCAN_BYTES_MAX, Budget
from holdfast.formats.listing import Ground, Import, Listing, Standing, printable
from holdfast.formats.scan import scan

__all__ = [
    "HEADER_BYTES_MAX",
    "SCAN_BYTES_MAX",
    "Allowed",
    "Budget",
    "Ground",
    "Import",
    "Listing",
    "Standing",
    "is_refused",
    "printable",
    "scan",
]
