"""What kube-proxy's metrics mean, as one table in two languages; everything that explains or judges is made from it."""
