"""What is done to a worker so that it may lose jobs, and what came of it."""
