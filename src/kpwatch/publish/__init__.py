"""From the knowledge table to what others load: boards, rules, runbooks; documents.py says who makes what."""
