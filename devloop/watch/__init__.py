"""Watching a folder: dirty paths out, grouped into batches; the only importer of watchdog.

An event is a hint: it says where to look, and the disk says what is there. Backends (`inotify`, `fsevents`, `polling`,
chosen by `select`) turn what their system tells into the values of `events`; the pure `batcher` groups those; `watcher`
is the asyncio face that the rest of the program uses.
"""
