"""Code that is spelled for other tools, run by Headway: only its import changes."""
