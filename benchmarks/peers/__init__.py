"""One file per contestant, read in its own environment only."""
