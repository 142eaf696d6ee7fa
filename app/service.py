"""Composition root: settings -> adapters -> the Faust app of one service."""
