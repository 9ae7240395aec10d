"""The stages of a batch, one a file: load, take the pure step, save, return counts. Each may run twice."""
