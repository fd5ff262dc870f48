"""What the tasks work with: where documents come from, and where they are kept."""
