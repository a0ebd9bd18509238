"""A real Asterisk with real SIP phones for tests and recordings.

``setup`` installs Asterisk 22 and 16 into a cache folder, ``server`` runs one of them with a given configuration,
``phone`` rings and answers, ``record`` writes down what the manager interface said meanwhile.
"""
