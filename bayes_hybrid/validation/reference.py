"""stub"""


def check_against_nuts(): ...


class ReferenceCheck: ...
