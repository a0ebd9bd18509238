"""What is said to people outside of the pages: the daily digest by e-mail, and when nobody is to be disturbed."""
