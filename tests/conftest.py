"""What all tests share: a busy machine makes examples slow, which is no failure; Ctrl-C means what it says."""

from __future__ import annotations

import signal

import hypothesis

hypothesis.settings.register_profile("devloop", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("devloop")

# A shell without job control lets what it runs in the background ignore these, and every child inherits that: the
# programs under test would not end when they are told to.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGQUIT) is signal.SIG_IGN:
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)
