"""Drills: a fault while orders flow, and whether anything was lost, doubled or left broken."""
