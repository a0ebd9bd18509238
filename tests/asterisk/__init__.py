"""A real Asterisk with real SIP phones for tests and recordings.

``setup`` installs Asterisk 22 and 16 into a cache folder, ``server`` runs one of them with a given configuration,
``phone`` and ``leg`` ring and answer, ``manager`` listens and gives orders. ``examples`` is the office of
``dialplan_examples`` with its telephones registered; a whole test is then::

    async with example_office("22") as office:
        client = await office.trunk.call_in("0441230001", caller="+380671112233", name="Олена")
        first, second, third = await office.ring("101", "102", "103")
        second.answer()
        await client.wait_answered()
        await client.hang_up()
        await office.over()

``record`` writes down what the manager interface says while the ``stories`` happen in the larger ``office``.
"""
