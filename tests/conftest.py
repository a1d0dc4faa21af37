"""What all tests share: a machine that is busy makes examples slow, and that is no failure."""

from __future__ import annotations

import hypothesis

hypothesis.settings.register_profile("devloop", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("devloop")
