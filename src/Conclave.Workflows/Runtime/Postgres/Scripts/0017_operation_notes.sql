-- What an operation changed in its instance (variables, the version), in the format of the journal: for replays.
alter table conclave.instance_operation add column notes bytea;
