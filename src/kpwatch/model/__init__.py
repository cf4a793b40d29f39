"""The words all rooms share: labels, matchers, frames, and the Protocols between store, promql and receive. Pure."""
