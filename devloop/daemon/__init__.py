"""The wiring: one TaskGroup per project, supervision, the control socket."""
