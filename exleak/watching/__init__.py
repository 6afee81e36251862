"""The watch over a running training: measures its checkpoints as they are completed."""
