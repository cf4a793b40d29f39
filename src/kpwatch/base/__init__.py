"""What every room may use and what knows nothing of ours: errors, time, durations, logs, counters, sockets."""
