alter table conclave.inference_syscall
    -- who submitted it: in whose name its tools are called, and who may look at it; null for those of earlier versions and of workflows
    add column caller text,
    -- the workflow instance that waits for it; null when none does
    add column instance_id text,
    -- whether that instance has been told of its end
    add column is_told boolean not null default false;

create index inference_syscall_untold_ix on conclave.inference_syscall (ended_at) where status = 3 and instance_id is not null and not is_told;
