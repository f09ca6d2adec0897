-- Runs that were made tests: what was recorded of them, and what came of the last time that they were repeated.

create table conclave.run_test (
    tenant text not null,
    id text not null,
    name text not null,
    definition_id text not null,
    version integer not null,
    instance_id text not null,
    -- What it belongs to beside the workflow, such as agent:<id>; null for nothing.
    subject text,
    -- As it was written: values may hold what jsonb does not take.
    recording json not null,
    created_at timestamptz not null,
    created_by text not null,
    result json,
    primary key (tenant, id)
);

create index run_test_list_ix on conclave.run_test (tenant collate "C", created_at desc, id);
