-- Model servers. They belong to the installation; only_tenant names the tenant that alone may use one.
create table conclave.inference_server (
    id           text        not null primary key,
    name         text        not null,
    provider     text        not null,
    address      text        not null,
    only_tenant  text,
    slots        int         not null,
    is_local     boolean     not null,
    tags         text[]      not null,
    rank         int         not null,
    mode         smallint    not null,
    -- What operators say about its models.
    models       jsonb       not null,
    timeout      interval    not null,
    -- Encrypted with a key that is not in the database, bound to the id and the address.
    api_key      bytea,
    -- 0 by an operator, 1 from the configuration, 2 found by itself.
    source       smallint    not null,
    version      int         not null default 1,
    updated_at   timestamptz not null,
    updated_by   text        not null
);
create unique index inference_server_name_ix on conclave.inference_server (lower(name));

-- Processes that call model servers and share their slots; one that says nothing for a while is gone.
create table conclave.inference_node (
    id      text        not null primary key,
    name    text        not null,
    seen_at timestamptz not null
);

-- Every version of every alias; the newest counts, and without a document the alias was taken away.
create table conclave.inference_alias (
    tenant     text        not null,
    name       text        not null,
    version    int         not null,
    document   jsonb,
    created_at timestamptz not null,
    created_by text        not null,
    primary key (tenant, name, version)
);
