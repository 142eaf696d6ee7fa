"""One order, followed through every service."""
