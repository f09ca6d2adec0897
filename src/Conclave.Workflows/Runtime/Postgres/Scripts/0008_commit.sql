-- The statements of a commit, one call for each row: for the few rows that a group has, that costs half of what a join with
-- arrays does, and is never planned by what the statistics say of a table that is empty one minute and full the next.

-- Stores an instance after a burst; fails when somebody else has taken it since.
create function conclave.update_instance(
    p_tenant text, p_id text, p_version_id text, p_version int, p_status smallint, p_sub_status smallint, p_correlation text,
    p_name text, p_incidents int, p_state bytea, p_fence bigint, p_owner uuid, p_lease interval, p_updated timestamptz,
    p_finished timestamptz) returns void
language plpgsql set plan_cache_mode = force_generic_plan as $$
begin
    update conclave.workflow_instance i
       set definition_version_id = p_version_id, version = p_version, status = p_status, sub_status = p_sub_status,
           correlation_id = p_correlation, name = p_name, incident_count = p_incidents, state = p_state, fence = i.fence + 1,
           owner = p_owner, lease_until = now() + p_lease, updated_at = p_updated, finished_at = p_finished
     where i.tenant = p_tenant and i.id = p_id and i.fence = p_fence;
    if not found then
        perform conclave.refuse_unless(false);
    end if;
end
$$;

-- Locks the keys of a bookmark before its commit touches any row, in the order that the caller gives: stimuli take the lock first, too.
create function conclave.lock_bookmark(p_tenant text, p_instance text, p_name text, p_hash bytea, p_correlation text) returns void
language plpgsql as $$
begin
    perform pg_advisory_xact_lock(conclave.stimulus_lock(p_tenant, p_name, p_hash, 'i' || p_instance));
    if p_correlation is not null then
        perform pg_advisory_xact_lock(conclave.stimulus_lock(p_tenant, p_name, p_hash, 'c' || p_correlation));
    end if;
end
$$;

-- Stores a bookmark, and lets it go on at once if a stimulus waits for it already.
create function conclave.add_bookmark(
    p_tenant text, p_instance text, p_number int, p_name text, p_hash bytea, p_correlation text, p_activity text, p_payload text,
    p_due timestamptz, p_created timestamptz) returns void
language plpgsql set enable_seqscan = off set enable_bitmapscan = off set plan_cache_mode = force_generic_plan as $$
declare
    early record;
begin
    update conclave.stimulus s set is_waiting = false
     where (s.tenant, s.id) = (
        select w.tenant, w.id from conclave.stimulus w
         where w.tenant = p_tenant and w.name = p_name and w.hash = p_hash and w.is_waiting and w.expires_at > now()
           and (w.instance_id is null or w.instance_id = p_instance)
           and (w.correlation_id is null or w.correlation_id = p_correlation)
         order by w.created_at limit 1)
    returning s.input into early;
    if not found then
        insert into conclave.bookmark (
            tenant, instance_id, number, name, hash, correlation_id, activity_id, payload, due_at, created_at)
        values (p_tenant, p_instance, p_number, p_name, p_hash, p_correlation, p_activity, p_payload, p_due, p_created);
        return;
    end if;
    insert into conclave.work_item (tenant, instance_id, kind, priority, due_at, bookmark, payload)
    values (p_tenant, p_instance, 2, 1, now(), p_number, early.input);
    -- Rare enough to wake workers from inside the transaction.
    perform pg_notify('conclave_work', '');
end
$$;

-- Instances that a stimulus resumes, two at most: one that waits alone, and that nobody holds, can be resumed without the queue.
create function conclave.find_waiting(p_tenant text, p_name text, p_hash bytea, p_instance text, p_correlation text)
returns table (instance_id text, number int, definition_version_id text, fence bigint, state bytea, is_free boolean)
language plpgsql stable set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set plan_cache_mode = force_generic_plan
as $$
#variable_conflict use_column
begin
    if p_instance is not null then
        return query
        select b.instance_id, b.number, i.definition_version_id, i.fence, i.state, i.lease_until is null or i.lease_until <= now()
          from conclave.bookmark b join conclave.workflow_instance i on i.tenant = b.tenant and i.id = b.instance_id
         where b.tenant = p_tenant and b.name = p_name and b.hash = p_hash and b.instance_id = p_instance
           and (p_correlation is null or b.correlation_id = p_correlation)
         limit 2;
    else
        return query
        select b.instance_id, b.number, i.definition_version_id, i.fence, i.state, i.lease_until is null or i.lease_until <= now()
          from conclave.bookmark b join conclave.workflow_instance i on i.tenant = b.tenant and i.id = b.instance_id
         where b.tenant = p_tenant and b.name = p_name and b.hash = p_hash
           and (p_correlation is null or b.correlation_id = p_correlation)
         limit 2;
    end if;
end
$$;

-- Takes away what a burst has just answered; fails when somebody else has.
create function conclave.take_bookmark(p_tenant text, p_instance text, p_number int) returns void
language plpgsql set plan_cache_mode = force_generic_plan as $$
begin
    delete from conclave.bookmark b where b.tenant = p_tenant and b.instance_id = p_instance and b.number = p_number;
    if not found then
        perform conclave.refuse_unless(false);
    end if;
end
$$;
