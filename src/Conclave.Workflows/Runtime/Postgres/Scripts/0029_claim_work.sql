-- Claiming work as in 0004, but pinned further: after a vacuum of an empty queue PostgreSQL takes it for empty, however long it is by then. It sorted the whole queue instead of reading its
-- head, and joined all of it with the claim. Now sorts are the last resort, and items are taken a row at a time, where there is nothing to plan.

create or replace function conclave.claim_work(worker uuid, lease interval, most int)
returns table (
    id bigint, tenant text, instance_id text, kind smallint, priority smallint, attempt int, bookmark int, payload bytea, late double precision,
    is_held boolean, definition_version_id text, fence bigint, state bytea)
language plpgsql
-- The plan must not change with what the statistics say of a table that is empty one moment and full the next.
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set enable_bitmapscan = off set enable_sort = off set enable_incremental_sort = off
set plan_cache_mode = force_generic_plan
as $$
#variable_conflict use_column
declare
    v record;
begin
    -- A claim that a crash undoes is due again, and the fence tells the owners apart: no need to wait for the disk.
    perform set_config('synchronous_commit', 'off', true);
    for v in
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
        select d.id, d.urgency, d.due_at, taken.id is not null as is_held,
               taken.id is null and exists (
                   select from conclave.workflow_instance i where i.tenant = d.tenant and i.id = d.instance_id) as is_busy,
               taken.definition_version_id, taken.fence,
               case when row_number() over (partition by d.tenant, d.instance_id order by d.id) = 1 then taken.state end as state
          from due d left join taken on taken.tenant = d.tenant and taken.id = d.instance_id)
    select d.* from decided d order by d.urgency, d.id
    loop
        update conclave.work_item w
           set owner = case when v.is_busy then w.owner else worker end,
               due_at = now() + case when v.is_busy then interval '30 milliseconds' else lease end,
               attempt = w.attempt + case when v.is_busy then 0 else 1 end
         where w.id = v.id
        returning w.id, w.tenant, w.instance_id, w.kind, w.priority, w.attempt, w.bookmark, w.payload
             into id, tenant, instance_id, kind, priority, attempt, bookmark, payload;
        if not v.is_busy then
            late := extract(epoch from now() - v.due_at)::double precision;
            is_held := v.is_held;
            definition_version_id := v.definition_version_id;
            fence := v.fence;
            state := v.state;
            return next;
        end if;
    end loop;
end
$$;
