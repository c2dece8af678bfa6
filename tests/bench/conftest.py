"""What tests of the bench share: a plan that takes no time."""

from __future__ import annotations

import pytest

from livestyle.bench.plan import Plan, Scope
from livestyle.bench.report import Report
from livestyle.bench.runner import run_bench
from tests.program import IDENTITY


@pytest.fixture(scope="session")
def quick_plan() -> Plan:
    """The model of the tests, at one small size."""
    return Plan(sizes=((96, 64),), models=(str(IDENTITY),), devices=("cpu",), seconds=0.05)


@pytest.fixture(scope="session")
def engine_report(quick_plan: Plan) -> Report:
    """Report of that plan's engine."""
    return run_bench(Plan(**{**vars(quick_plan), "scopes": (Scope.ENGINE,)}))
