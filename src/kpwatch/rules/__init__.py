"""Rules: what is evaluated again and again, and who is told what comes out.

    files ──> groups ──> states ──> samples (ALERTS, recorded series) ──> an Appender, or an engine
    (parse)  (schedule)     └─────> notify: Alertmanagers, webhooks

Rule files are Prometheus' YAML (`document`, `parse`, `files`), evaluation is Prometheus' (`evaluate`, `states`), and
so are the templates in labels and annotations (`go_parse`, `go_execute`, `go_functions`). The room asks whatever
evaluates PromQL (the engine over the store, or a server elsewhere) and hands samples to whatever keeps them; `ruler.py`
is what a hub sees of all this. Nothing here is loaded by a hub without rules.
"""
