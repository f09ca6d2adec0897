-- The instance row is small and rewritten with every burst: fillfactor leaves room for updates in place.
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
    state                 bytea,
    -- Grows with every burst that takes the instance; a commit with an older number is refused.
    fence                 bigint      not null default 0,
    lease_until           timestamptz,
    created_at            timestamptz not null,
    updated_at            timestamptz not null,
    finished_at           timestamptz,
    primary key (tenant, id)
) with (fillfactor = 70);

create index workflow_instance_list_ix on conclave.workflow_instance (tenant, created_at desc, id desc);
create index workflow_instance_definition_ix on conclave.workflow_instance (tenant, definition_id, created_at desc);
create index workflow_instance_correlation_ix on conclave.workflow_instance (tenant, correlation_id) where correlation_id is not null;

create table conclave.bookmark (
    tenant       text        not null,
    instance_id  text        not null,
    number       int         not null,
    name         text        not null,
    hash         bytea       not null,
    activity_id  text        not null,
    payload      text        not null,
    due_at       timestamptz,
    created_at   timestamptz not null,
    primary key (tenant, instance_id, number),
    foreign key (tenant, instance_id) references conclave.workflow_instance (tenant, id) on delete cascade
);

create index bookmark_stimulus_ix on conclave.bookmark (tenant, name, hash);

-- Work that is due. A claimed item is due again when its lease runs out.
create table conclave.work_item (
    id          bigint generated always as identity primary key,
    tenant      text        not null,
    instance_id text        not null,
    kind        smallint    not null,
    priority    smallint    not null,
    due_at      timestamptz not null,
    attempt     int         not null default 0,
    owner       uuid,
    payload     bytea,
    created_at  timestamptz not null default now()
) with (fillfactor = 70);

create index work_item_due_ix on conclave.work_item (priority, due_at);

-- What failed too often waits here until somebody puts it back.
create table conclave.dead_work_item (
    id          bigint      primary key,
    tenant      text        not null,
    instance_id text        not null,
    kind        smallint    not null,
    priority    smallint    not null,
    attempt     int         not null,
    payload     bytea,
    error       text        not null,
    created_at  timestamptz not null,
    died_at     timestamptz not null default now()
);
