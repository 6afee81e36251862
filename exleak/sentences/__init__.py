"""From a raw continuation to the first sentence that is scored."""
