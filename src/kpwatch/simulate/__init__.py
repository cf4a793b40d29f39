"""A fleet of kube-proxies that are not there: real bodies, moved through time by rules, with faults on demand."""
