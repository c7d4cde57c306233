"""The steps from one schema to the next: forward only, and frozen once a file in the world has been through them."""
