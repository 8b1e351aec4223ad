"""The bridge in lockstep for tests: as it began, and with a client that is armed and runs."""

import pytest


@pytest.fixture
def bench(tmp_path):
    from bridge_bench import Bench  # here, as every test of the folder loads this module: it needs the DDS extra

    bench = Bench(tmp_path)
    yield bench
    bench.close()


@pytest.fixture
def running(bench):
    bench.start()
    assert not bench.is_damping
    return bench
