"""Leakage beside the loss: measuring within the training loops of other libraries."""
