"""The sample company of ``pbxcrm run --demo``: its people, a year of its history, and a few clients who go on calling."""
