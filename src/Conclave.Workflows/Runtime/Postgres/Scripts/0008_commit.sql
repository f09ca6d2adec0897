-- Row by row by the primary key: a join with the arrays would be planned by what the statistics say, and they say nothing of a
-- table that is empty one minute and has a million rows the next.

-- Stores instances after a burst; fails when somebody else has taken one since.
create function conclave.update_instances(
    p_tenant text[], p_id text[], p_version_id text[], p_version int[], p_status smallint[], p_sub_status smallint[],
    p_correlation text[], p_name text[], p_incidents int[], p_state bytea[], p_fence bigint[], p_keeps_hold boolean[],
    p_updated timestamptz[], p_finished timestamptz[], p_owner uuid, p_lease interval) returns void
language plpgsql set plan_cache_mode = force_generic_plan as $$
declare
    c record;
begin
    for c in
        select * from unnest(
            p_tenant, p_id, p_version_id, p_version, p_status, p_sub_status, p_correlation, p_name, p_incidents, p_state, p_fence,
            p_keeps_hold, p_updated, p_finished)
            as c(tenant, id, version_id, version, status, sub_status, correlation_id, name, incidents, state, fence, keeps_hold, updated_at, finished_at)
    loop
        update conclave.workflow_instance i
           set definition_version_id = c.version_id, version = c.version, status = c.status, sub_status = c.sub_status,
               correlation_id = c.correlation_id, name = c.name, incident_count = c.incidents, state = c.state,
               fence = i.fence + 1, owner = case when c.keeps_hold then p_owner end,
               lease_until = case when c.keeps_hold then now() + p_lease end, updated_at = c.updated_at, finished_at = c.finished_at
         where i.tenant = c.tenant and i.id = c.id and i.fence = c.fence;
        if not found then
            perform conclave.refuse_unless(false);
        end if;
    end loop;
end
$$;

-- Removes what instances no longer wait for.
create function conclave.remove_bookmarks(p_tenant text[], p_instance text[], p_number int[]) returns void
language plpgsql set plan_cache_mode = force_generic_plan as $$
declare
    r record;
begin
    for r in select * from unnest(p_tenant, p_instance, p_number) as r(tenant, instance_id, number)
    loop
        delete from conclave.bookmark b where b.tenant = r.tenant and b.instance_id = r.instance_id and b.number = r.number;
    end loop;
end
$$;
