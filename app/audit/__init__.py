"""Whether what was acknowledged, what the log tells and what the ledger wrote agree."""
