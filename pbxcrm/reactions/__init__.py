"""What the product makes of a call: a policy over deals, callbacks and tasks."""
