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
    -- The bookmark to resume; null for other work.
    bookmark    int,
    payload     bytea,
    created_at  timestamptz not null default now()
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);

create index work_item_due_ix on conclave.work_item (tenant, priority, due_at);
create index work_item_instance_ix on conclave.work_item (tenant, instance_id);

-- What failed too often waits here until somebody puts it back.
create table conclave.dead_work_item (
    id          bigint      primary key,
    tenant      text        not null,
    instance_id text        not null,
    kind        smallint    not null,
    priority    smallint    not null,
    attempt     int         not null,
    bookmark    int,
    payload     bytea,
    error       text        not null,
    created_at  timestamptz not null,
    died_at     timestamptz not null default now()
);

create index dead_work_item_ix on conclave.dead_work_item (tenant, id);

-- Stimuli: those that came before their bookmark, and the ids of those that were delivered.
create table conclave.stimulus (
    tenant         text        not null,
    id             text        not null,
    name           text        not null,
    hash           bytea       not null,
    instance_id    text,
    correlation_id text,
    input          bytea,
    is_waiting     boolean     not null,
    expires_at     timestamptz not null,
    created_at     timestamptz not null,
    primary key (tenant, id)
);

create index stimulus_waiting_ix on conclave.stimulus (tenant, name, hash) where is_waiting;
create index stimulus_expiry_ix on conclave.stimulus (expires_at);

-- Answers to requests by their idempotency key. A row without a status belongs to a request that still runs.
create table conclave.http_reply (
    tenant       text        not null,
    scope        text        not null,
    key          text        not null,
    request_hash bytea       not null,
    instance_id  text,
    reply        bytea,
    expires_at   timestamptz not null,
    primary key (tenant, scope, key)
);

create index http_reply_expiry_ix on conclave.http_reply (expires_at);

-- Fails the transaction that calls it when somebody else has taken an instance since.
create function conclave.refuse_unless(is_right boolean) returns void language plpgsql as $$
begin
    if not is_right then
        raise exception 'conclave.commit_refused' using errcode = 'CC001';
    end if;
end
$$;

-- Takes due work, most urgent first and an equal share for each tenant, together with the instances that it is for and
-- their state. Work for an instance that somebody else holds is put off for a moment.
create function conclave.claim_work(worker uuid, lease interval, most int)
returns table (
    id bigint, tenant text, instance_id text, kind smallint, priority smallint, attempt int, bookmark int, payload bytea, late double precision,
    is_held boolean, definition_version_id text, fence bigint, state bytea)
language plpgsql
-- The plan must not change with what the statistics say of a table that is empty one moment and full the next.
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set enable_bitmapscan = off
set plan_cache_mode = force_generic_plan
as $$
#variable_conflict use_column
begin
    -- A claim that a crash undoes is due again, and the fence tells the owners apart: no need to wait for the disk.
    perform set_config('synchronous_commit', 'off', true);
    return query
    with recursive known(name) as (
        (select w.tenant from conclave.work_item w order by w.tenant limit 1)
        union all
        select (select w.tenant from conclave.work_item w where w.tenant > known.name order by w.tenant limit 1)
          from known where known.name is not null),
    candidate as (
        select item.id, item.tenant, item.instance_id, item.due_at, item.urgency, item.place
          from (select known.name from known where known.name is not null) t
         cross join lateral (
            select w.*, row_number() over (order by w.urgency, w.due_at) as place
              from unnest(array[0, 1, 2, 3]::smallint[]) as u(urgency)
             cross join lateral (
                select i.id, i.tenant, i.instance_id, i.due_at, i.priority as urgency from conclave.work_item i
                 where i.tenant = t.name and i.priority = u.urgency and i.due_at <= now()
                 order by i.due_at limit most
                   for update skip locked) w) item),
    due as materialized (
        select c.* from candidate c order by c.urgency, c.place limit most),
    free as materialized (
        select i.tenant, i.id from conclave.workflow_instance i
          join (select distinct d.tenant, d.instance_id from due d) d on i.tenant = d.tenant and i.id = d.instance_id
         where i.lease_until is null or i.lease_until <= now()
           for update of i skip locked),
    taken as (
        update conclave.workflow_instance i
           set fence = i.fence + 1, owner = worker, lease_until = now() + lease
          from free f
         where i.tenant = f.tenant and i.id = f.id
        returning i.tenant, i.id, i.definition_version_id, i.fence, i.state),
    -- Work without an instance, and work whose instance is gone, is taken as it is.
    decided as materialized (
        select d.id, d.tenant, d.instance_id, d.due_at, taken.id is not null as is_held,
               taken.id is null and exists (
                   select from conclave.workflow_instance i where i.tenant = d.tenant and i.id = d.instance_id) as is_busy,
               taken.definition_version_id, taken.fence,
               case when row_number() over (partition by d.tenant, d.instance_id order by d.id) = 1 then taken.state end as state
          from due d left join taken on taken.tenant = d.tenant and taken.id = d.instance_id),
    claimed as (
        update conclave.work_item w
           set owner = case when d.is_busy then w.owner else worker end,
               due_at = now() + case when d.is_busy then interval '30 milliseconds' else lease end,
               attempt = w.attempt + case when d.is_busy then 0 else 1 end
          from decided d
         where w.id = d.id
        returning w.id, w.tenant, w.instance_id, w.kind, w.priority, w.attempt, w.bookmark, w.payload,
                  extract(epoch from now() - d.due_at)::double precision as late,
                  d.is_held, d.is_busy, d.definition_version_id, d.fence, d.state)
    select c.id, c.tenant, c.instance_id, c.kind, c.priority, c.attempt, c.bookmark, c.payload, c.late,
           c.is_held, c.definition_version_id, c.fence, c.state
      from claimed c where not c.is_busy
     order by c.priority, c.id;
end
$$;

-- When the next work is due; null when there is none.
create function conclave.next_due() returns timestamptz language sql stable
set enable_seqscan = off set enable_bitmapscan = off
as $$
    with recursive known(name) as (
        (select w.tenant from conclave.work_item w order by w.tenant limit 1)
        union all
        select (select w.tenant from conclave.work_item w where w.tenant > known.name order by w.tenant limit 1)
          from known where known.name is not null)
    select min(first.due_at)
      from known cross join unnest(array[0, 1, 2, 3]::smallint[]) as u(urgency)
     cross join lateral (
        select i.due_at from conclave.work_item i
         where i.tenant = known.name and i.priority = u.urgency order by i.due_at limit 1) first
$$;

-- The lock that a stimulus and the commit of its bookmark hold, so that neither misses the other.
create function conclave.stimulus_lock(tenant text, name text, hash bytea, target text) returns bigint language sql immutable
as $$ select hashtextextended(tenant || chr(31) || name || chr(31) || encode(hash, 'hex') || chr(31) || target, 0) $$;

-- Delivers a stimulus: takes the bookmarks that it matches away and enqueues their resumption. One for a certain instance or
-- correlation id that finds none waits. An id that was delivered already changes nothing.
create function conclave.deliver(
    p_tenant text, p_id text, p_name text, p_hash bytea, p_instance text, p_correlation text, p_input bytea,
    p_priority smallint, p_keep interval, out resumed int, out is_waiting boolean, out is_duplicate boolean)
language plpgsql
set enable_seqscan = off set enable_bitmapscan = off set plan_cache_mode = force_generic_plan
as $$
begin
    resumed := 0;
    is_waiting := false;
    is_duplicate := false;
    if p_id is not null then
        insert into conclave.stimulus as s (
            tenant, id, name, hash, instance_id, correlation_id, input, is_waiting, expires_at, created_at)
        values (p_tenant, p_id, p_name, p_hash, p_instance, p_correlation, null, false, now() + p_keep, now())
            on conflict (tenant, id) do update
           set name = excluded.name, hash = excluded.hash, instance_id = excluded.instance_id,
               correlation_id = excluded.correlation_id, input = null, is_waiting = false,
               expires_at = excluded.expires_at, created_at = excluded.created_at
         where s.expires_at <= now();
        if not found then
            is_duplicate := true;
            return;
        end if;
    end if;
    if p_instance is not null or p_correlation is not null then
        perform pg_advisory_xact_lock(
            conclave.stimulus_lock(p_tenant, p_name, p_hash, coalesce('i' || p_instance, 'c' || p_correlation)));
    end if;
    with gone as (
        delete from conclave.bookmark b
         where b.tenant = p_tenant and b.name = p_name and b.hash = p_hash
           and (p_instance is null or b.instance_id = p_instance)
           and (p_correlation is null or b.correlation_id = p_correlation)
        returning b.instance_id, b.number)
    insert into conclave.work_item (tenant, instance_id, kind, priority, due_at, bookmark, payload)
    select p_tenant, gone.instance_id, 2, p_priority, now(), gone.number, p_input from gone;
    get diagnostics resumed = row_count;
    if resumed > 0 or (p_instance is null and p_correlation is null) then
        return;
    end if;
    -- Nobody waits in vain: an instance that has ended takes nothing.
    if p_instance is not null and exists (
        select from conclave.workflow_instance i where i.tenant = p_tenant and i.id = p_instance and i.status = 1) then
        return;
    end if;
    is_waiting := true;
    insert into conclave.stimulus (
        tenant, id, name, hash, instance_id, correlation_id, input, is_waiting, expires_at, created_at)
    values (p_tenant, coalesce(p_id, gen_random_uuid()::text), p_name, p_hash, p_instance, p_correlation, p_input, true,
            now() + p_keep, now())
        on conflict (tenant, id) do update set input = excluded.input, is_waiting = true;
end
$$;
