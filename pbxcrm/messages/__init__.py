"""Messages to clients: templates, deliveries and who sends them, what is asked before a message."""
