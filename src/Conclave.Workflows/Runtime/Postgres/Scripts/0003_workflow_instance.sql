-- The instance row is small and rewritten with every burst: fillfactor leaves room for updates in place, which stay
-- cheap as long as no indexed column changes.
create table conclave.workflow_instance (
    tenant                text        not null,
    id                    text        not null,
    definition_id         text        not null,
    definition_version_id text        not null,
    version               int         not null,
    status                smallint    not null,
    sub_status            smallint    not null,
    correlation_id        text,
    name                  text,
    parent_id             text,
    incident_count        int         not null default 0,
    state                 bytea       not null,
    -- Grows whenever the instance is taken and with every commit; a commit that shows an older number is refused.
    fence                 bigint      not null default 1,
    owner                 uuid,
    lease_until           timestamptz,
    created_at            timestamptz not null,
    updated_at            timestamptz not null,
    finished_at           timestamptz,
    primary key (tenant, id)
) with (fillfactor = 70);

-- These two name another collation, so that only lists, which name it too, can use them. On a table without statistics the
-- planner would otherwise take one of them to find an instance by its id, and walk all of it.
create index workflow_instance_list_ix on conclave.workflow_instance (tenant collate "C", created_at, id);
create index workflow_instance_definition_ix on conclave.workflow_instance (tenant collate "C", definition_id, created_at, id);
create index workflow_instance_correlation_ix on conclave.workflow_instance (tenant, correlation_id) where correlation_id is not null;
create index workflow_instance_incident_ix on conclave.workflow_instance (tenant, created_at, id) where incident_count > 0;

-- What instances wait for. A stimulus takes the row away when it enqueues the resumption.
create table conclave.bookmark (
    tenant         text        not null,
    instance_id    text        not null,
    number         int         not null,
    name           text        not null,
    hash           bytea       not null,
    correlation_id text,
    activity_id    text        not null,
    payload        text        not null,
    due_at         timestamptz,
    created_at     timestamptz not null,
    primary key (tenant, instance_id, number)
);

-- With the instance, so that one of many that wait for the same thing is found at once.
create index bookmark_stimulus_ix on conclave.bookmark (tenant, name, hash, instance_id);

-- Path templates with parameters at which instances have waited, so that a request finds its bookmark. Few, and kept.
create table conclave.http_template (
    tenant   text not null,
    template text not null,
    primary key (tenant, template)
);

-- Values too large for the instance row, by the hash of their content.
create table conclave.blob (
    tenant      text  not null,
    instance_id text  not null,
    hash        bytea not null,
    content     bytea not null,
    primary key (tenant, instance_id, hash)
);

-- What people did to an instance, and why.
create table conclave.instance_operation (
    id          bigint generated always as identity primary key,
    tenant      text        not null,
    instance_id text        not null,
    sequence    bigint      not null,
    operation   text        not null,
    actor       text        not null,
    reason      text,
    details     text,
    created_at  timestamptz not null
);

create index instance_operation_ix on conclave.instance_operation (tenant, instance_id, id);
