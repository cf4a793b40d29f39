"""What the benches share: the load, the programs, the processes, the tables."""
