"""The config of a repository, and the polynomials that restic asks for."""

import json

import pytest

from kbackup.errors import IntegrityError, ObjectNotFoundError, UnsupportedFormatError
from kbackup.repository._config import load_config, new_config, save_config
from kbackup.repository._polynomials import DEGREE, is_irreducible, random_irreducible

OF_RESTIC = [0x25B468838DCB75, 0x3DA3358B4DC173, 0x2C6A361BBAD879]


def test_a_config_comes_back(documents, version):
    """What was drawn once holds for ever."""
    config = new_config(version)
    save_config(documents, config)

    assert load_config(documents) == config
    assert config.version == version


def test_no_two_repositories_are_alike():
    """Each has an ID and a secret of its own, which a repr does not show."""
    one, other = new_config(2), new_config(2)

    assert one.id != other.id
    assert one.polynomial != other.polynomial
    assert str(one.polynomial) not in repr(one)


@pytest.mark.parametrize("version", [0, 3, -1])
def test_a_version_of_the_future(documents, version):
    """It is refused when it is asked for and when it is found, with those known."""
    document = {
        "version": version,
        "id": "ab" * 32,
        "chunker_polynomial": "25b468838dcb75",
    }
    documents.save_config(json.dumps(document).encode())

    with pytest.raises(UnsupportedFormatError, match=f"version {version}") as caught:
        load_config(documents)
    assert caught.value.hint == "versions 1 to 2 are known here"
    with pytest.raises(UnsupportedFormatError):
        new_config(version)


@pytest.mark.parametrize(
    "changes",
    [
        {"version": "2"},
        {"id": "ab"},
        {"id": "AB" * 32},
        {"id": None},
        {"chunker_polynomial": "xyz"},
        {"chunker_polynomial": "25b468838dcb74"},
        {"chunker_polynomial": "1"},
    ],
)
def test_what_is_no_config(documents, changes):
    """It is damage, and told as such."""
    whole = {"version": 2, "id": "ab" * 32, "chunker_polynomial": "25b468838dcb75"}
    documents.save_config(json.dumps(whole | changes).encode())

    with pytest.raises(IntegrityError, match="config: damaged"):
        load_config(documents)


def test_no_config(documents):
    """Then there is no repository."""
    with pytest.raises(ObjectNotFoundError):
        load_config(documents)


@pytest.mark.parametrize("polynomial", OF_RESTIC)
def test_polynomials_of_restic_are_irreducible(polynomial):
    """Those in its documentation and its repositories."""
    assert is_irreducible(polynomial)


@pytest.mark.parametrize(
    "polynomial",
    [
        0,
        1,
        2,
        1 << DEGREE,
        OF_RESTIC[0] ^ 1,
        OF_RESTIC[0] ^ 2,
        OF_RESTIC[0] << 1,
        0b111,
    ],
)
def test_others_are_not(polynomial):
    """Those with a divisor, and those of another degree."""
    assert not is_irreducible(polynomial)


def test_products_are_found_out():
    """A product of two polynomials of lower degree is none."""
    product = 0
    one, other = 0b1011, (1 << 50) | (1 << 4) | (1 << 3) | (1 << 2) | 1
    for place in range(one.bit_length()):
        product ^= (other << place) * (one >> place & 1)

    assert product.bit_length() == DEGREE + 1
    assert not is_irreducible(product)


def test_drawn_ones_are_irreducible_and_differ():
    """Of all there are, none is likely to come twice."""
    drawn = {random_irreducible() for _ in range(5)}

    assert len(drawn) == 5
    assert all(map(is_irreducible, drawn))
