"""A training repository's first files: what ``exleak init`` finds there, and what it writes."""
