"""Profiles of hypothesis: a few examples, always the same ones, in CI; many outside of it.

HYPOTHESIS_PROFILE=many python -m pytest tests/property
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

COMMON = {"deadline": None, "database": None, "suppress_health_check": list(HealthCheck)}
settings.register_profile("ci", max_examples=25, derandomize=True, **COMMON)  # type: ignore[arg-type]
settings.register_profile("many", max_examples=3000, **COMMON)  # type: ignore[arg-type]
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))
