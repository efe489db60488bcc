import pickle

import pytest

from bayes_hybrid import errors
from bayes_hybrid.errors import BayesHybridError

BUILT_IN = {
    "DataError": ValueError,
    "DataTypeError": TypeError,
    "OptionError": ValueError,
    "FitError": RuntimeError,
    "FileFormatError": ValueError,
    "OutputExistsError": FileExistsError,
}


def test_every_error_is_listed_here():
    assert set(errors.__all__) == {"BayesHybridError", *BUILT_IN}


@pytest.mark.parametrize("name", BUILT_IN)
def test_error_is_ours_and_built_in(name):
    kind = getattr(errors, name)
    assert issubclass(kind, BayesHybridError)
    assert issubclass(kind, BUILT_IN[name])


@pytest.mark.parametrize("name", errors.__all__)
def test_message_survives_str_and_pickle(name):
    # joblib sends the errors of parallel fits through pickle.
    error = pickle.loads(pickle.dumps(getattr(errors, name)("column 'a', row 3")))
    assert type(error) is getattr(errors, name)
    assert str(error) == "column 'a', row 3"
