-- What is asked of configurations costs the same however many ad hoc ones there are: those that
-- are listed have an index without them, and ad hoc ones are found by age, envelope and digest.
drop index connect_configuration_live;

create index connect_configuration_listed on connect_configuration (account_id, connect_id)
where deleted_us is null and ad_hoc is null;

create index connect_configuration_ad_hoc_by_age on connect_configuration (created_us)
where ad_hoc is not null;

-- Whether anything still names one.
create index delivery_of_configuration on delivery (connect_id);
create index publish_transaction_of on publish_transaction (connect_id);
