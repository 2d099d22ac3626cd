"""The local page of `emotiw serve`: examination, page, server and what guards it."""
