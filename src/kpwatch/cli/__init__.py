"""One file per verb; each imports its rooms when it is called."""
