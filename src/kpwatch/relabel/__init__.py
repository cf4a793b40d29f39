"""What a sample is called and whether it counts: filters, identity labels, relabel rules. Pure."""
