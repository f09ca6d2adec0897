-- One row per version. Flags move between versions inside one transaction; the indexes make sure that at most one
-- version of a workflow carries each.
create table conclave.workflow_definition (
    tenant             text        not null,
    id                 text        not null,
    definition_id      text        not null,
    version            int         not null check (version > 0),
    name               text,
    description        text,
    activity_type_name text        not null,
    usable_as_activity boolean     not null,
    is_latest          boolean     not null,
    is_published       boolean     not null,
    is_readonly        boolean     not null,
    is_system          boolean     not null,
    content            text        not null,
    content_hash       bytea       not null,
    created_at         timestamptz not null,
    updated_at         timestamptz not null,
    primary key (tenant, id),
    unique (tenant, definition_id, version)
);

create unique index workflow_definition_latest_ix on conclave.workflow_definition (tenant, definition_id) where is_latest;
create unique index workflow_definition_published_ix on conclave.workflow_definition (tenant, definition_id) where is_published;
create index workflow_definition_name_ix on conclave.workflow_definition (tenant, lower(name), id) where is_latest;
create index workflow_definition_activity_ix on conclave.workflow_definition (tenant, activity_type_name) where usable_as_activity;
