"""The operator's eyes: looks at every process once a second, keeps 15 minutes, and shows them on a page."""
