"""The alias table draws what it was given: an even grid of 'random' numbers must reproduce the probabilities."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bm_training.sampling.alias_table import AliasTable

WEIGHTS = st.lists(st.one_of(st.just(0.0), st.floats(1e-3, 1e3)), min_size=1, max_size=40).filter(lambda w: sum(w) > 0)


def frequencies(probabilities, num=100_000):
    grid = (torch.arange(num, dtype=torch.float64) + 0.5) / num
    return torch.bincount(AliasTable(probabilities).draw(grid), minlength=len(probabilities)) / num


@settings(max_examples=200, deadline=None, derandomize=True)
@given(weights=WEIGHTS)
def test_an_even_grid_reproduces_any_probabilities(weights):
    p = torch.tensor(weights, dtype=torch.float64)
    p = p / p.sum()
    # A bin's share lies in at most 2 intervals a bucket; each is off by less than one grid point.
    assert (frequencies(p) - p).abs().max() < 2 * len(p) / 100_000
    assert (frequencies(p)[p == 0] == 0).all()


def test_table_of_a_worked_example():
    # 4 p = 0.4, 2.4, 0.8, 0.4: bin 1 gives 0.6, 0.2, 0.6 and keeps 1.0: every bucket but its own is shared with it.
    table = AliasTable(torch.tensor([0.1, 0.6, 0.2, 0.1], dtype=torch.float64))
    uniform = torch.tensor([0.099, 0.101, 0.25, 0.499, 0.699, 0.701, 0.849, 0.851], dtype=torch.float64)
    # bucket 0 ends at 0.25, its own part at 0.1; bucket 2: 0.5..0.7..0.75; bucket 3: 0.75..0.85..1
    assert table.draw(uniform).tolist() == [0, 1, 1, 1, 2, 1, 3, 1]


@pytest.mark.parametrize("num", [1, 3, 7, 11775])
def test_equal_probabilities_use_no_alias(num):
    table = AliasTable(torch.full((num,), 1.0 / num, dtype=torch.float64))
    middle = (torch.arange(num, dtype=torch.float64) + 0.5) / num
    assert torch.equal(table.draw(middle), torch.arange(num))


def test_the_largest_random_number_stays_inside_the_table():
    below_one = torch.tensor([1.0 - 2.0**-53], dtype=torch.float64)
    for num in (1, 3, 4097):
        assert AliasTable(torch.full((num,), 1.0 / num, dtype=torch.float64)).draw(below_one).item() == num - 1
