"""Load on a server that keeps the contract of `POST /orders`, and what is measured of it."""
