"""The commands that users run; nothing else imports them."""
