"""What a sample is called: identity labels and (later) relabel rules. Pure."""
