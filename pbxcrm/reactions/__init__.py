"""What follows from a call: the policy for deals, callbacks and tasks."""
