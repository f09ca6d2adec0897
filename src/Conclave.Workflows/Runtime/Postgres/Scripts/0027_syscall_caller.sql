alter table conclave.inference_syscall
    -- who submitted it: in whose name its tools are called, and who may look at it; null for those of earlier versions and of workflows
    add column caller text,
    -- the workflow instance that waits for it; null when none does
    add column instance_id text,
    -- whether that instance has been told of its end
    add column is_told boolean not null default false;

create index inference_syscall_untold_ix on conclave.inference_syscall (ended_at) where status = 3 and instance_id is not null and not is_told;

-- What nobody waits for any more is not asked either. At the end of the transaction, since a burst may take a bookmark away and put it back.
create function conclave.syscall_bookmark_gone() returns trigger language plpgsql as $$
begin
    update conclave.inference_syscall s
       set status = 3, is_cancelled = true, is_told = true, ended_at = now(), error = 'The workflow no longer waits for it.', error_code = 'syscall.cancelled'
     where s.tenant = old.tenant and s.instance_id = old.instance_id and s.status < 3
       and sha256(convert_to(old.name, 'UTF8') || '\x00'::bytea || convert_to(s.pid, 'UTF8') || '\x00'::bytea) = old.hash
       and not exists (
           select from conclave.bookmark b
            where b.tenant = old.tenant and b.name = old.name and b.hash = old.hash and b.instance_id = old.instance_id);
    return null;
end
$$;
create constraint trigger syscall_bookmark_gone after delete on conclave.bookmark deferrable initially deferred
    for each row when (old.name = 'Conclave.AskLater') execute function conclave.syscall_bookmark_gone();

create index inference_syscall_instance_ix on conclave.inference_syscall (tenant, instance_id) where instance_id is not null;
