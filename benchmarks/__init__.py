"""Headway beside its peers: each in an environment of its own, on a Redis of ours."""
