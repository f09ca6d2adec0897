create schema if not exists conclave;

comment on schema conclave is 'Everything that Conclave stores. Change it with migration scripts only.';
