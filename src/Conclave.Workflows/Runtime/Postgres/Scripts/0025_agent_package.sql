-- Packages of agents: what is used, what was refused, and the content that turns of any process need.

create table conclave.agent_package (
    tenant      text        not null,
    name        text        not null,
    -- folder, upload
    source      text        not null,
    enabled     boolean     not null default true,
    -- the content that is used; null while none has passed
    hash        text,
    -- newer content that did not pass: {hash, version, problems, at}; null once the newest is used
    refused     jsonb,
    created_at  timestamptz not null,
    updated_at  timestamptz not null,
    updated_by  text        not null,
    -- its folder or upload is gone; turns that began before go on with its content
    removed_at  timestamptz,
    primary key (tenant, name)
);

-- Content that has passed, by its hash: turns go on with the one that they began with.
create table conclave.agent_package_content (
    tenant      text        not null,
    hash        text        not null,
    name        text        not null,
    manifest    jsonb       not null,
    -- what its logic listed when it was tried
    tools       jsonb       not null,
    stored_at   timestamptz not null,
    -- since when no new turn takes it
    replaced_at timestamptz,
    primary key (tenant, hash)
);

create table conclave.agent_package_file (
    tenant  text  not null,
    hash    text  not null,
    path    text  not null,
    sha256  text  not null,
    content bytea not null,
    primary key (tenant, hash, path),
    foreign key (tenant, hash) references conclave.agent_package_content (tenant, hash) on delete cascade
);

-- Why the package that an agent was made from cannot be used; null while it can, and for agents made by hand.
alter table conclave.agent add column lost_package text;
create index agent_template_ix on conclave.agent (tenant, template) where template is not null;

-- Tells the agents of a package that it cannot be used, and why, or that it can (no reason). Those in use go to the state error,
-- and come back from it. Returns how many were told something new.
create function conclave.package_lost(p_tenant text, p_name text, p_reason text, p_actor text, p_at timestamptz) returns int
language plpgsql as $$
declare
    v_agent conclave.agent;
    v_count int := 0;
begin
    for v_agent in
        select * from conclave.agent where tenant = p_tenant and template = p_name and lost_package is distinct from p_reason order by id for update
    loop
        update conclave.agent set lost_package = p_reason where tenant = p_tenant and id = v_agent.id;
        v_count := v_count + 1;
        if p_reason is not null then
            perform conclave.agent_transition(p_tenant, v_agent.id, array['active', 'working'], 'error', p_actor, p_reason, p_at);
            -- Removed after it was disabled, say: the state stays, and what is to be done about it is another thing.
            update conclave.agent set state_reason = p_reason where tenant = p_tenant and id = v_agent.id and state = 'error' and state_reason = v_agent.lost_package;
        elsif v_agent.state_reason = v_agent.lost_package then
            perform conclave.agent_transition(p_tenant, v_agent.id, array['error'], 'active', p_actor, 'Its package ''' || p_name || ''' can be used again.', p_at);
        end if;
    end loop;
    return v_count;
end
$$;

-- Agents whose package cannot be used stay in the state error, whoever takes them out of it: a turn that completes, or somebody by hand.
-- Fires at the end of the transaction, so that its event comes last.
create function conclave.agent_lost() returns trigger
language plpgsql as $$
begin
    perform conclave.agent_transition(new.tenant, new.id, array['active', 'working'], 'error', 'packages', new.lost_package, clock_timestamp());
    return null;
end
$$;
create constraint trigger agent_lost_tr after update of state on conclave.agent deferrable initially deferred for each row
    when (old.state = 'error' and new.state in ('active', 'working') and new.lost_package is not null)
    execute function conclave.agent_lost();

-- Gives agents of a package what its new content says. What somebody changed since an agent was made of the old content stays.
create function conclave.package_replaced(p_tenant text, p_name text, p_old jsonb, p_new jsonb, p_hash text, p_actor text, p_at timestamptz) returns int
language plpgsql as $$
declare
    v_agent text;
    v_count int := 0;
begin
    for v_agent in select id from conclave.agent where tenant = p_tenant and template = p_name order by id for update
    loop
        update conclave.agent a
           set configuration = coalesce((
                   select jsonb_object_agg(member, value)
                     from (select member, case when a.configuration -> member is not distinct from p_old -> member then p_new -> member else a.configuration -> member end as value
                             from (select jsonb_object_keys(a.configuration) union select jsonb_object_keys(p_new)) as members (member)) as merged
                    where value is not null), '{}'),
               version = a.version + 1, updated_at = p_at, updated_by = p_actor
         where a.tenant = p_tenant and a.id = v_agent;
        perform conclave.add_agent_event(p_tenant, v_agent, null, 'agent.changed', jsonb_build_object('actor', p_actor, 'package', p_name || '@' || p_hash), p_at);
        v_count := v_count + 1;
    end loop;
    return v_count;
end
$$;
