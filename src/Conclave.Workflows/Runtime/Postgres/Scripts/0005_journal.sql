-- One row holds the log entries of one burst, or a part of them: appended in bulk, read by instance. Each month is a partition of
-- its own, so that old months are dropped, not deleted.
create table conclave.journal (
    tenant         text        not null,
    instance_id    text        not null,
    first_sequence bigint      not null,
    count          int         not null,
    entries        bytea       not null,
    created_at     timestamptz not null
) partition by range (created_at);

create index journal_instance_ix on conclave.journal (tenant, instance_id, first_sequence);

-- Takes what falls outside the months that exist, so that a wrong clock loses nothing.
create table conclave.journal_default partition of conclave.journal default;
