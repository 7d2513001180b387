"""The one exception for mistakes a user can mend."""


class UserError(Exception):
    """A wrong input, told in one line: what is wrong, where, and what to do.

    Commands print the message and exit with status 2; nothing has been written by then.
    """
