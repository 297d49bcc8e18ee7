# SPDX-License-Identifier: MIT
"""devices.chain: the walk along SunSpec model headers is bounded and exact."""

from firmline.devices.chain import ModelChain

SEARCHING, FOUND, MISSING = 0, 1, 2
WANTED = ((704, 704, 57, True), (701, 703, 50, True), (713, 713, 7, False))


def test_marker_is_stepped_over():
    chain = ModelChain(WANTED, 40000)
    assert chain.take(0x5375, 0x6E53) == SEARCHING
    assert chain.address == 40002
    assert chain.bases == [0, 0, 0]


def test_half_a_marker_is_a_model():
    for model, length in ((0x5375, 0), (1, 0x6E53)):
        chain = ModelChain(WANTED, 1000)
        chain.take(model, length)
        assert chain.address == 1002 + length


def test_all_models_found_ends_the_walk_early():
    chain = ModelChain(WANTED, 40000)
    assert chain.take(701, 153) == SEARCHING
    assert chain.take(713, 7) == SEARCHING
    assert chain.take(704, 65) == FOUND
    assert chain.bases == [40164, 40000, 40155]


def test_optional_model_may_be_missing_at_the_end():
    chain = ModelChain(WANTED, 40000)
    chain.take(701, 153)
    assert chain.take(704, 65) == SEARCHING
    assert chain.take(0xFFFF, 0) == FOUND
    assert chain.is_absent(2)
    assert not chain.is_absent(0)


def test_required_model_missing_at_the_end():
    chain = ModelChain(WANTED, 40000)
    chain.take(701, 153)
    assert chain.take(0xFFFF, 0) == MISSING


def test_first_of_two_equal_models_is_taken():
    chain = ModelChain(WANTED, 40000)
    chain.take(701, 153)
    chain.take(702, 50)
    assert chain.bases[1] == 40000


def test_ids_and_lengths_at_the_edge():
    for model, length, is_taken in (
        (700, 200, False),
        (701, 50, True),
        (703, 50, True),
        (701, 49, False),
        (704, 56, False),
    ):
        chain = ModelChain(WANTED, 40000)
        chain.take(model, length)
        assert (chain.bases != [0, 0, 0]) is is_taken, (model, length)


def test_walk_ends_before_the_address_space_does():
    chain = ModelChain(WANTED, 65000)
    assert chain.take(1, 532) == SEARCHING
    assert chain.address == 65534
    chain = ModelChain(WANTED, 65000)
    assert chain.take(1, 533) == MISSING


def test_walk_over_empty_registers_is_bounded():
    chain = ModelChain(WANTED, 0)
    steps = 1
    while chain.take(0, 0) == SEARCHING:
        steps += 1
    assert steps == 40


def test_restart_forgets_everything():
    chain = ModelChain(WANTED, 40000)
    chain.take(701, 153)
    for _ in range(37):
        chain.take(0, 0)
    chain.restart()
    assert (chain.address, chain.bases) == (40000, [0, 0, 0])
    for _ in range(39):
        assert chain.take(0, 0) == SEARCHING


def test_fixed_map_starts_at_register_zero():
    chain = ModelChain((), 40000)
    assert chain.bases == [0]
    assert not chain.is_absent(0)
