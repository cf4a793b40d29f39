"""kpwatch watches kube-proxy.

The stages of a sample's life, one folder each, in the order it passes them:

    scrape -> exposition -> relabel -> remote_write -> spool -> send  ~~HTTP~~>  receive -> store -> promql -> api -> ui

`agent.py` wires the left half, `hub.py` the right half, `up.py` both in one process.
"""

__version__ = "0.1.0"
