"""What code written for other libraries is here, read without importing any of it."""
