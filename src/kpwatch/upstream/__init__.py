"""A server beside the hub that keeps the samples: queries are passed on to it, writes are handed to it."""
