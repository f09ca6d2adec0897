-- Who submitted a syscall: in whose name its tools are called, and who may look at it. Null for those of earlier versions.
alter table conclave.inference_syscall add column caller text;
