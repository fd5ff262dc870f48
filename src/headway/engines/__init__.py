"""What the worker command of each engine loads; an application imports none of it."""
