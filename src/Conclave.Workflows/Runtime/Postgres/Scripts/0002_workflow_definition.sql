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

-- What published versions start on. One route cannot start two workflows.
create table conclave.workflow_trigger (
    tenant        text not null,
    definition_id text not null,
    version_id    text not null,
    activity_id   text not null,
    name          text not null,
    hash          bytea not null,
    -- Members of the trigger's payload as JSON.
    payload       text not null,
    -- Method and path template without parameter names; null for other triggers.
    route_key     text
);

create index workflow_trigger_definition_ix on conclave.workflow_trigger (tenant, definition_id);
create index workflow_trigger_stimulus_ix on conclave.workflow_trigger (tenant, name, hash);
create unique index workflow_trigger_route_ix on conclave.workflow_trigger (tenant, route_key) where route_key is not null;
