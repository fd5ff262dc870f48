"""What runs by itself in the drill of schedulers: its application and its tasks."""
