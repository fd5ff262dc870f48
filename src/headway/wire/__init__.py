"""How RQ 3.0 writes jobs in Redis; nothing outside of this package knows it."""
