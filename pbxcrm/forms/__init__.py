"""Requests of clients that do not call: web forms, forms of other sites, and e-mails to a mailbox. Each becomes a deal."""
