"""What other tools run, read so that it can go on here."""
