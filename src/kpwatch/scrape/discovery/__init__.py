"""Where targets come from: the files themselves, lists beside them, a Consul catalog."""
