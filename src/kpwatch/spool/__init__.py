"""Keeps encoded scrapes until every writer has delivered them."""
