"""The agent's configuration files: found, joined, checked, turned into the rooms' options."""
