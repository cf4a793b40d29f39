"""The doctor: what is wrong with which kube-proxy, how it shows, what to do.

documents   what one kube-proxy answered, scrape by scrape
live        asks kube-proxies           bundle   reads and writes what was asked as a directory
desk        documents -> samples        server   the same samples from a hub or any Prometheus API
judge       checks of the knowledge table over either -> verdicts
report      verdicts -> text and JSON
"""
