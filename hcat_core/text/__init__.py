"""Text for messages: quoting of names and values, spelling suggestions."""
