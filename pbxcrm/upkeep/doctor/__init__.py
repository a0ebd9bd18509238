"""``pbxcrm doctor``: what works, what does not, and what to do about it. Each check looks at one thing and never raises."""
