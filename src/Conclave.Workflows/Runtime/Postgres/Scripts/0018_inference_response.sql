-- Responses of POST /v1/responses that can be fetched and followed; a conversation is a chain of them by previous_id.
create table conclave.inference_response (
    tenant text not null,
    id text not null,
    -- Name of the account that asked; nobody else sees it.
    owner text not null,
    previous_id text,
    input jsonb not null,
    output jsonb not null,
    -- As it was answered.
    response json not null,
    created_at timestamptz not null default now(),
    expires_at timestamptz not null,
    primary key (tenant, id));
create index inference_response_expires_at on conclave.inference_response (expires_at);
