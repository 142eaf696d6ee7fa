"""Every metric of the project: kind, unit and meaning."""
