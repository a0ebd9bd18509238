"""A message as it is shown to colleagues."""

from web.message_words import shown_body


def test_the_link_that_ends_messages_is_shown_without_its_secret() -> None:
    body = "Hello!\nNo more: {own.unsubscribe}\nYours"
    assert shown_body(body, "https://crm.example/") == "Hello!\nNo more: https://crm.example/unsubscribe/…\nYours"
    assert shown_body(body, "") == "Hello!\nYours"
