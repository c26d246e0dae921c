"""The database behind a port (`Engine`): embedded chDB, schema, migrations, retention, group commit.

May import kit. Knows no wire format, no HTTP, no mesh.
"""
