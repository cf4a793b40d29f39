"""A fleet of kube-proxies replayed from real captures."""
