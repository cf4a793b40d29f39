"""Keeps frames in SQLite: journal, blocks, index.

parts -> streams -> block     pure: dense matrices, how numbers shrink, the bytes of a block
schema, catalog, journal      what stands in the database
head, index                   what stands in memory
commit, maintenance, writer   the one thread that writes
reader                        everybody who reads
database                      the Store: all of it behind `Appender` and `SeriesSource`
"""
