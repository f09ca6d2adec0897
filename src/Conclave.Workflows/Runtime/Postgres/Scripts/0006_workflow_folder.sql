-- What the folder of workflow files last brought into each workflow: while the newest version still has imported_hash,
-- nobody edited it since, and a changed file may replace it.
create table conclave.workflow_folder (
    tenant        text        not null,
    definition_id text        not null,
    file          text        not null,
    file_hash     bytea       not null,
    imported_hash bytea       not null,
    imported_at   timestamptz not null,
    primary key (tenant, definition_id)
);
