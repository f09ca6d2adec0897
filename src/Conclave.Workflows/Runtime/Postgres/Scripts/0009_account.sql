-- People who may sign in. security_stamp changes with the password, the roles and a lock: whatever was issued before is void then.
create table conclave.account (
    tenant          text        not null,
    id              text        not null,
    user_name       text        not null,
    normalized_name text        not null,
    email           text,
    -- Null until the person who was invited has chosen one.
    password_hash   text,
    security_stamp  text        not null,
    roles           text[]      not null,
    is_locked       boolean     not null default false,
    -- Wrong passwords in a row, and until when none is tried any more.
    failed_attempts int         not null default 0,
    lockout_end     timestamptz,
    created_at      timestamptz not null,
    signed_in_at    timestamptz,
    version         int         not null default 1,
    primary key (tenant, id)
);
create unique index account_name_ix on conclave.account (tenant, normalized_name);

-- The link that makes the first administrator. Of secrets only hashes are kept, here and below.
create table conclave.account_setup (
    tenant     text        not null primary key,
    token_hash bytea       not null,
    expires_at timestamptz not null
);

create table conclave.api_key (
    tenant       text        not null,
    id           text        not null,
    account_id   text        not null,
    name         text        not null,
    key_hash     bytea       not null,
    scopes       text[]      not null,
    created_at   timestamptz not null,
    expires_at   timestamptz,
    last_used_at timestamptz,
    primary key (tenant, id),
    foreign key (tenant, account_id) references conclave.account (tenant, id) on delete cascade
);
create unique index api_key_hash_ix on conclave.api_key (tenant, key_hash);
create index api_key_account_ix on conclave.api_key (tenant, account_id);

-- A token is used once and gives the next of its family; when one is used again, somebody copied it and the family goes.
create table conclave.refresh_token (
    tenant         text        not null,
    token_hash     bytea       not null,
    family         uuid        not null,
    account_id     text        not null,
    security_stamp text        not null,
    expires_at     timestamptz not null,
    used_at        timestamptz,
    primary key (tenant, token_hash),
    foreign key (tenant, account_id) references conclave.account (tenant, id) on delete cascade
);
create index refresh_token_account_ix on conclave.refresh_token (tenant, account_id);

-- What access tokens are signed with; the value is protected by the keys below.
create table conclave.signing_key (
    tenant     text        not null,
    id         text        not null,
    value      bytea       not null,
    created_at timestamptz not null,
    primary key (tenant, id)
);

-- ASP.NET Core's keys for cookies and forms, which all web processes share; they belong to the installation, not to a tenant.
create table conclave.data_protection_key (
    name  text not null primary key,
    value text not null
);
