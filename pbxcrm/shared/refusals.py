"""What a program outside answered if it did not take something; one shape for mail servers, SMS gateways and webhooks."""


class NotSent(Exception):
    """Nothing was sent; the text says why. ``is_final``: trying again is of no use. ``is_unsure``: it may have been taken all the same."""

    def __init__(self, words: str, *, is_final: bool = False, is_unsure: bool = False) -> None:
        super().__init__(words)
        self.is_final, self.is_unsure = is_final, is_unsure
