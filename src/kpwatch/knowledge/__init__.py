"""What kube-proxy's metrics mean: one table of data and the code that reads it."""
