-- How good answers were. features says what a call was about, hashed beyond reading; without it the rating counts for no prediction.
create table conclave.inference_rating (
    tenant        text             not null,
    call_id       text             not null,
    model         text             not null,
    rating        double precision not null,
    output_tokens bigint           not null,
    features      bytea,
    rated_at      timestamptz      not null,
    rated_by      text             not null,
    primary key (tenant, call_id)
);
create index inference_rating_time_ix on conclave.inference_rating (tenant, rated_at desc);
