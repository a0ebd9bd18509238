"""Stand-ins for what lies outside: real sockets, made-up insides."""
