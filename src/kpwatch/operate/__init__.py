"""An agent at work: what changes while it runs, what it says of itself, who may ask."""
